"""The workload in other engines: each takes a workload and gives questions and an answering function.

Each is used the quickest way that we know of. None of them traces, records or computes amounts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import zen
from cel_expr_python import cel
from durable.engine import MessageNotHandledException, Ruleset
from workload import Happened, Wanted, Workload, micros

from policyengine.domain.state import to_micros

Engine = tuple[list[Any], Callable[[Any], list[int]]]


def flat(event: Happened) -> dict[str, Any]:
    """An event as plain facts."""
    return {
        "kind": event.event_type,
        "region": event.region,
        "phase": event.phase,
        "amount": event.amount,
        "time": to_micros(event.time),
    }


class _Host:
    """What a `Ruleset` asks of its host, without the timer threads of `durable.engine.Host`."""

    def get_action(self, name: str) -> Callable[..., None]:
        raise KeyError(name)


def durable_rules(workload: Workload) -> Engine:
    """durable-rules by its own Python layer: assert a fact, run the actions, retract it."""
    found: list[int] = []

    def collect(number: int) -> Callable[[Any], None]:
        def action(_context: Any) -> None:
            found.append(number)

        return action

    def rule(one: Wanted) -> dict[str, Any]:
        tests = [
            {"kind": one.event_type},
            {"region": one.region},
            {"$or": [{"phase": phase} for phase in one.phases]},
            {"$gte": {"amount": one.least}},
            {"$gte": {"time": micros(one.start)}},
            {"$lt": {"time": micros(one.until)}},
        ]
        return {"all": [{"m": {"$and": tests}}], "run": collect(one.number)}

    name = f"bench-{len(workload.policies)}"
    ruleset = Ruleset(name, _Host(), {f"r{one.number}": rule(one) for one in workload.policies})

    def done(error: Any, _state: Any) -> None:
        if error is not None:
            raise error

    def answer(fact: dict[str, Any]) -> list[int]:
        found.clear()
        try:
            ruleset.do_actions(ruleset.assert_fact(fact), done)
            ruleset.do_actions(ruleset.retract_fact(fact), done)
        except MessageNotHandledException:
            return []
        return list(found)

    return [{**flat(event), "sid": "1"} for event in workload.events], answer


def brute_force_cel(workload: Workload) -> Engine:
    """Every policy's condition as one compiled CEL expression; one activation for each event."""
    text, number = cel.Type.STRING, cel.Type.INT
    env = cel.NewEnv(
        variables={"kind": text, "region": text, "phase": text, "amount": number, "time": number}
    )
    conditions = [
        (
            one.number,
            env.compile(
                f'kind == "{one.event_type}" && region == "{one.region}" && phase in {list(one.phases)!r}'
                f" && amount >= {one.least} && time >= {micros(one.start)} && time < {micros(one.until)}"
            ),
        )
        for one in workload.policies
    ]

    def answer(fact: dict[str, Any]) -> list[int]:
        activation = env.Activation(fact)
        return [number for number, condition in conditions if condition.eval(activation).value()]

    return [flat(event) for event in workload.events], answer


def zen_table(workload: Workload) -> Engine:
    """One zen-engine decision table that collects every row that fits."""
    fields = ("kind", "region", "phase", "amount", "time")
    rows = [
        {
            "_id": f"row{one.number}",
            "kind": f'"{one.event_type}"',
            "region": f'"{one.region}"',
            "phase": ", ".join(f'"{phase}"' for phase in one.phases),
            "amount": f">= {one.least}",
            "time": f"[{micros(one.start)}..{micros(one.until)})",
            "out": str(one.number),
        }
        for one in workload.policies
    ]
    table = {
        "hitPolicy": "collect",
        "inputs": [{"id": name, "name": name, "field": name} for name in fields],
        "outputs": [{"id": "out", "name": "out", "field": "policy"}],
        "rules": rows,
    }
    graph = {
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", "position": {"x": 0, "y": 0}},
            {
                "id": "table",
                "name": "table",
                "type": "decisionTableNode",
                "content": table,
                "position": {"x": 1, "y": 0},
            },
            {"id": "end", "name": "end", "type": "outputNode", "position": {"x": 2, "y": 0}},
        ],
        "edges": [
            {"id": "e1", "sourceId": "in", "targetId": "table", "type": "edge"},
            {"id": "e2", "sourceId": "table", "targetId": "end", "type": "edge"},
        ],
    }
    decision = zen.ZenEngine().create_decision(zen.ZenDecisionContent(orjson.dumps(graph).decode()))

    def answer(fact: dict[str, Any]) -> list[int]:
        return [int(row["policy"]) for row in decision.evaluate(fact)["result"]]

    return [flat(event) for event in workload.events], answer
