# An image of the engine alone. Everything in it is pinned by requirements-run.lock, with hashes.
FROM python:3.11-slim AS build
# durable-rules is published as C source
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/policyengine
ENV PATH=/opt/policyengine/bin:$PATH
WORKDIR /src
COPY requirements-run.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY policyengine policyengine
COPY schemas schemas
COPY rules rules
COPY docs/codes docs/codes
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home policyengine
COPY --from=build /opt/policyengine /opt/policyengine
ENV PATH=/opt/policyengine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    POLICYENGINE_LOG_FORMAT=json \
    POLICYENGINE_WORKER_HEALTH_HOST=0.0.0.0
WORKDIR /home/policyengine
USER policyengine
EXPOSE 8080
ENTRYPOINT ["policyengine"]
CMD ["--help"]
