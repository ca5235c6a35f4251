# ruff: noqa: RUF001 - odd characters are what this is about
"""What people type who know refunds and not Python: each mistake, and every word that they are told.

(what it is, what stood in ``SOUND``, what they typed instead, the findings without the file's name).
"""

SOUND = """\
policy: travel/late-train
version: 1
title: {en: Money back, he: החזר}
owner: care@travel.example
basis: goodwill
announced: 2020-03-20
effective: {from: 2020-03-15, until: 2021-01-01}
currency: ILS
timezone: Asia/Jerusalem
parameters:
  share: 80
rules:
  - id: refund
    on: booking.cancelled
    when:
      - booking.nights > 2
      - booking.kind == "hotel"
    grant:
      - kind: refund
        amount: percent(booking.paid, param.share)
        due: add_days(date_of(event.time), 14)
    say:
      en: "We return {amount}."
      he: "נחזיר {amount}."
"""

MISTAKES: list[tuple[str, str, str, list[str]]] = [
    (
        "a tab as indentation",
        "      - booking.nights > 2",
        "\t- booking.nights > 2",
        [
            "16:1: PE001 the line is indented with a tab; indent with spaces, two for each step",
        ],
    ),
    (
        "a tab after the colon",
        "basis: goodwill",
        "basis:\tgoodwill",
        [
            "5:7: PE001 a tab stands here, where only spaces may; type a space instead",
        ],
    ),
    (
        "a tab before a key",
        "  share: 80",
        "\tshare: 80",
        [
            "11:1: PE001 the line is indented with a tab; indent with spaces, two for each step",
        ],
    ),
    (
        "a quotation mark that is not closed",
        'en: "We return {amount}."',
        'en: "We return {amount}.',
        [
            '23:11: PE001 a quotation mark is opened here and not closed on this line; close it with " at the end of the text',
        ],
    ),
    (
        "a single quotation mark that is not closed",
        "owner: care@travel.example",
        "owner: 'care@travel.example",
        [
            "4:8: PE001 a quotation mark is opened here and not closed on this line; close it with ' at the end of the text",
        ],
    ),
    (
        "percent number",
        "share: 80",
        "share: 80%",
        [
            "11:10: PE003 `80%` is no number; write 80, without the sign: percent(booking.paid, 80) takes per cent",
        ],
    ),
    (
        "percent in expr",
        "percent(booking.paid, param.share)",
        "percent(booking.paid, 80%)",
        [
            "20:39: PE033 `80%` is no number; write 80: the function takes per cent",
        ],
    ),
    (
        "comma decimal",
        "share: 80",
        "share: 7,5",
        [
            "11:10: PE003 `7,5` is no number; write 7.5: numbers have a point before the decimals",
        ],
    ),
    (
        "comma decimal money",
        "booking.nights > 2",
        'booking.paid > money("10,50 ILS")',
        [
            '16:24: PE037 `10,50 ILS` is not money; write money("10.50 ILS")',
        ],
    ),
    (
        "date 31/02/2020",
        "announced: 2020-03-20",
        "announced: 31/02/2020",
        [
            "6:12: PE003 `31/02/2020` is no date; there is no 31 February 2020: the last day of that month is 2020-02-29",
        ],
    ),
    (
        "date 20/03/2020",
        "announced: 2020-03-20",
        "announced: 20/03/2020",
        [
            "6:12: PE003 `20/03/2020` is no date; write 2020-03-20",
        ],
    ),
    (
        "date 15.3.2020",
        "from: 2020-03-15",
        "from: 15.3.2020",
        [
            "7:19: PE003 `15.3.2020` is no date or time; write 2020-03-15",
        ],
    ),
    (
        "date feb 30",
        "announced: 2020-03-20",
        "announced: 2020-02-30",
        [
            "6:12: PE003 `2020-02-30` is no date of the calendar; there is no 30 February 2020: the last day of that month is 2020-02-29",
        ],
    ),
    (
        "date no dashes",
        "announced: 2020-03-20",
        "announced: 20200320",
        [
            "6:12: PE003 `20200320` is no date; write 2020-03-20",
        ],
    ),
    (
        "date short",
        "announced: 2020-03-20",
        "announced: 2020-3-20",
        [
            "6:12: PE003 `2020-3-20` is no date; write 2020-03-20",
        ],
    ),
    (
        "month name",
        "announced: 2020-03-20",
        "announced: 20 March 2020",
        [
            "6:12: PE003 `20 March 2020` is no date; write 2020-03-20",
        ],
    ),
    (
        "month hebrew",
        "announced: 2020-03-20",
        "announced: 20 במרץ 2020",
        [
            "6:12: PE003 `20 במרץ 2020` is no date; write 2020-03-20",
        ],
    ),
    (
        "en dash date",
        "announced: 2020-03-20",
        "announced: 2020–03–20",
        [
            "6:12: PE003 `2020–03–20` is no date; write 2020-03-20",
        ],
    ),
    (
        "date quoted in expr",
        "booking.nights > 2",
        "booking.starts_on > 2020-03-15",
        [
            '16:27: PE032 compares a date with a number; write date("2020-03-15")',
        ],
    ),
    (
        "date slashes in expr",
        "booking.nights > 2",
        "booking.starts_on > 15/03/2020",
        [
            '16:27: PE032 compares a date with a number; write date("2020-03-15")',
        ],
    ),
    (
        "date str in expr",
        "booking.nights > 2",
        'booking.starts_on > "2020-03-15"',
        [
            '16:27: PE032 compares a date with text; write date("2020-03-15")',
        ],
    ),
    (
        "wrong indent",
        "    on: booking.cancelled",
        "   on: booking.cancelled",
        [
            "14:4: PE001 this line does not fit the indentation of those above; lines of one block start in the same column: the line above in column 5, this one in column 4",
        ],
    ),
    (
        "indent 2",
        "        amount: percent",
        "      amount: percent",
        [
            "20:7: PE001 this line does not fit the indentation of those above; lines of one block start in the same column: the line above in column 9, this one in column 7",
        ],
    ),
    (
        "indent top",
        "currency: ILS",
        " currency: ILS",
        [
            "8:2: PE001 this line does not fit the indentation of those above; lines of one block start in the same column: the line above in column 1, this one in column 2",
        ],
    ),
    (
        "hebrew gershayim",
        'booking.kind == "hotel"',
        "booking.kind == ״hotel״",
        [
            '17:25: PE033 `״` is no quotation mark here; write plain quotation marks: "hotel"',
        ],
    ),
    (
        "curly",
        'booking.kind == "hotel"',
        "booking.kind == “hotel”",
        [
            '17:25: PE033 `“` is no quotation mark here; write plain quotation marks: "hotel"',
        ],
    ),
    (
        "curly single",
        'booking.kind == "hotel"',
        "booking.kind == ‘hotel’",
        [
            '17:25: PE033 `‘` is no quotation mark here; write plain quotation marks: "hotel"',
        ],
    ),
    (
        "curly yaml",
        'en: "We return {amount}."',
        "en: “We return: {amount}.”",
        [
            '23:11: PE001 `“` is no quotation mark here; write plain quotation marks: "…"',
        ],
    ),
    (
        "gershayim yaml",
        'en: "We return {amount}."',
        "en: ״We return: {amount}.״",
        [
            '23:11: PE001 `״` is no quotation mark here; write plain quotation marks: "…"',
        ],
    ),
    (
        "nbsp indent",
        "    on: booking.cancelled",
        "\xa0\xa0\xa0\xa0on: booking.cancelled",
        [
            "14:1: PE001 a character that nobody sees stands here (no-break space, U+00A0); delete it and type a space instead",
        ],
    ),
    (
        "nbsp after colon",
        "basis: goodwill",
        "basis:\xa0goodwill",
        [
            "5:7: PE001 a character that nobody sees stands here (no-break space, U+00A0); delete it and type a space instead",
        ],
    ),
    (
        "nbsp value",
        "basis: goodwill",
        "basis: goodwill\xa0",
        [
            "5:16: PE005 a character that nobody sees stands here (no-break space, U+00A0); delete it and type a space instead",
        ],
    ),
    (
        "nbsp in expr",
        "booking.nights > 2",
        "booking.nights >\xa02",
        [
            "16:25: PE005 a character that nobody sees stands here (no-break space, U+00A0); delete it and type a space instead",
        ],
    ),
    (
        "zero width",
        "policy: travel",
        "policy: \u200btravel",
        [
            "1:9: PE005 a character that nobody sees stands here (zero width space, U+200B); delete it",
        ],
    ),
    (
        "rlm",
        "basis: goodwill",
        "basis: \u200fgoodwill",
        [
            "5:8: PE005 a character that nobody sees stands here (right-to-left mark, U+200F); delete it",
        ],
    ),
    (
        "rtl embedding",
        "id: refund",
        "id: \u202brefund\u202c",
        [
            "13:9: PE005 a character that nobody sees stands here (right-to-left embedding, U+202B); delete it",
            "13:16: PE005 a character that nobody sees stands here (pop directional formatting, U+202C); delete it",
        ],
    ),
    (
        "yes",
        "currency: ILS",
        "currency: ILS\nshadow: yes",
        [
            "9:9: PE003 expected true or false, got text; write true, without quotes",
        ],
    ),
    (
        "True word he",
        "currency: ILS",
        "currency: ILS\nshadow: כן",
        [
            "9:9: PE003 expected true or false, got text; write true, without quotes",
        ],
    ),
    (
        "=",
        'booking.kind == "hotel"',
        'booking.kind = "hotel"',
        [
            "17:22: PE033 `=` does not compare; write `==` to compare",
        ],
    ),
    (
        "AND",
        '      - booking.nights > 2\n      - booking.kind == "hotel"',
        '      - booking.nights > 2 AND booking.kind == "hotel"',
        [
            "16:28: PE033 `AND` is not understood; write &&",
        ],
    ),
    (
        "and",
        '      - booking.nights > 2\n      - booking.kind == "hotel"',
        '      - booking.nights > 2 and booking.kind == "hotel"',
        [
            "16:28: PE033 `and` is not understood; write &&",
        ],
    ),
    (
        "or",
        "booking.nights > 2",
        "booking.nights > 2 or booking.nights < 1",
        [
            "16:28: PE033 `or` is not understood; write ||",
        ],
    ),
    (
        "&",
        "booking.nights > 2",
        "booking.nights > 2 & booking.nights < 9",
        [
            "16:28: PE033 `&` is no operator; write `&&`",
        ],
    ),
    (
        "|",
        "booking.nights > 2",
        "booking.nights > 2 | booking.nights < 1",
        [
            "16:28: PE033 `|` is no operator; write `||`",
        ],
    ),
    (
        "not",
        "booking.nights > 2",
        "not booking.refundable",
        [
            "16:9: PE033 `not` is not understood; write ! before what must not be",
        ],
    ),
    (
        "<>",
        'booking.kind == "hotel"',
        'booking.kind <> "hotel"',
        [
            "17:22: PE033 `<>` is not understood; write !=",
        ],
    ),
    (
        "! unquoted",
        "booking.nights > 2",
        "!booking.refundable",
        [
            "16:9: PE005 `!` at the beginning means a tag, and tags are refused; put the whole condition in quotes",
        ],
    ),
    (
        "currency sign",
        "booking.nights > 2",
        'booking.paid > money("₪100")',
        [
            '16:24: PE037 `₪100` is not money; write money("100 ILS")',
        ],
    ),
    (
        "currency sign bare",
        "booking.nights > 2",
        "booking.paid > 100 ₪",
        [
            '16:24: PE033 `100 ₪` is not understood; write money("100 ILS")',
        ],
    ),
    (
        "currency key sign",
        "currency: ILS",
        "currency: ₪",
        [
            "8:11: PE003 unknown currency `₪`; write ILS",
        ],
    ),
    (
        "currency nis",
        "currency: ILS",
        "currency: NIS",
        [
            "8:11: PE003 unknown currency `NIS`; write ILS",
        ],
    ),
    (
        "currency lower",
        "currency: ILS",
        "currency: ils",
        [
            "8:11: PE003 unknown currency `ils`; write ILS",
        ],
    ),
    (
        "currency dollar",
        "currency: ILS",
        "currency: $",
        [
            "8:11: PE003 unknown currency `$`; write USD",
        ],
    ),
    (
        "thousands",
        "booking.nights > 2",
        'booking.paid > money("1,000 ILS")',
        [
            '16:24: PE037 `1,000 ILS` is not money; write money("1000 ILS")',
        ],
    ),
    (
        "thousands int",
        "booking.nights > 2",
        "booking.nights > 1,000",
        [
            "16:26: PE033 `1,000` is no number; write 1000",
        ],
    ),
    (
        "money bare",
        "booking.nights > 2",
        "booking.paid > 100",
        [
            '16:22: PE032 compares money with a number; write money("100 ILS")',
        ],
    ),
    (
        "money bare cur",
        "booking.nights > 2",
        "booking.paid > 100 ILS",
        [
            '16:24: PE033 `100 ILS` is not understood; write money("100 ILS")',
        ],
    ),
    (
        "arabic digits",
        "share: 80",
        "share: ٨٠",
        [
            "11:10: PE003 `٨٠` is no number; write 80",
        ],
    ),
    (
        "refund: 80%",
        "      - kind: refund\n        amount: percent(booking.paid, param.share)\n        due: add_days(date_of(event.time), 14)",
        "      - refund: 80%",
        [
            "19:9: PE004 `kind` is missing; write `kind: refund`, and below it `amount: percent(booking.paid, 80)`",
        ],
    ),
    (
        "refund short",
        "    grant:\n      - kind: refund\n        amount: percent(booking.paid, param.share)\n        due: add_days(date_of(event.time), 14)",
        "    grant: refund 80%",
        [
            "18:12: PE003 expected a list, got text; begin each remedy with `- kind: …` on a line of its own",
        ],
    ),
    (
        "amount number",
        "percent(booking.paid, param.share)",
        "100",
        [
            '20:17: PE003 an amount of money needs its currency; write money("100 ILS"), or booking.paid',
        ],
    ),
    (
        "amount money",
        "percent(booking.paid, param.share)",
        "100 ILS",
        [
            '20:17: PE033 `100 ILS` is not understood; write money("100 ILS")',
        ],
    ),
    (
        "amount pct",
        "percent(booking.paid, param.share)",
        "80%",
        [
            "20:17: PE033 `80%` is no number; write percent(booking.paid, 80), with the amount that you mean",
        ],
    ),
    (
        "key caps",
        "owner:",
        "Owner:",
        [
            "1:1: PE004 `owner` is missing; who answers for it",
            "4:1: PE002 unknown key `Owner`; did you mean `owner`?",
        ],
    ),
    (
        "key caps ON",
        "    on: booking",
        "    On: booking",
        [
            "13:5: PE004 `on` is missing; event type or types",
            "14:5: PE002 unknown key `On`; did you mean `on`?",
        ],
    ),
    (
        "key hebrew",
        "owner:",
        "בעלים:",
        [
            "1:1: PE004 `owner` is missing; who answers for it",
            "4:1: PE002 unknown key `בעלים`; write it in English: `owner`",
        ],
    ),
    (
        "missing dash rule",
        "  - id: refund",
        "    id: refund",
        [
            "13:5: PE003 expected a list, got keys and values; begin each rule with `- id: …` on a line of its own",
        ],
    ),
    (
        "missing dash when",
        "      - booking.nights > 2\n      - booking.kind",
        "      booking.nights > 2\n      booking.kind",
        [
            "16:7: PE003 expected a list, got text; begin each condition with `- ` on a line of its own",
        ],
    ),
    (
        "when single",
        '    when:\n      - booking.nights > 2\n      - booking.kind == "hotel"',
        "    when: booking.nights > 2",
        [
            "15:11: PE003 expected a list, got text; begin each condition with `- ` on a line of its own",
        ],
    ),
    (
        "dash no space",
        "      - booking.nights > 2",
        "      -booking.nights > 2",
        [
            "16:7: PE003 expected a list, got text; put a space behind the dash: `- booking.nights > 2`",
        ],
    ),
    (
        "kind he",
        "kind: refund",
        "kind: החזר",
        [
            "19:15: PE003 unknown remedy kind `החזר`; write it in English: `refund`",
        ],
    ),
    (
        "kind plural",
        "kind: refund",
        "kind: refunds",
        [
            "19:15: PE003 unknown remedy kind `refunds`; did you mean `refund`?",
        ],
    ),
    (
        "kind caps",
        "kind: refund",
        "kind: Refund",
        [
            "19:15: PE003 unknown remedy kind `Refund`; did you mean `refund`?",
        ],
    ),
    (
        "range 1-5",
        "booking.nights > 2",
        "booking.nights in 1-5",
        [
            "16:24: PE032 looks for a number in a number; write between(booking.nights, 1, 5)",
        ],
    ),
    (
        "range 1..5",
        "booking.nights > 2",
        "booking.nights in 1..5",
        [
            "16:27: PE033 a range is not written so; write between(booking.nights, 1, 5): both bounds belong to it",
        ],
    ),
    (
        "range list",
        "booking.nights > 2",
        "booking.nights in [1-5]",
        [
            "16:29: PE036 `1-5` is a subtraction, not a range; write between(booking.nights, 1, 5)",
        ],
    ),
    (
        "≥",
        "booking.nights > 2",
        "booking.nights ≥ 2",
        [
            "16:24: PE033 `≥` is not understood; write >=",
        ],
    ),
    (
        "=>",
        "booking.nights > 2",
        "booking.nights => 2",
        [
            "16:24: PE033 `=>` is not understood; write >=",
        ],
    ),
    (
        "=<",
        "booking.nights > 2",
        "booking.nights =< 2",
        [
            "16:24: PE033 `=<` is not understood; write <=",
        ],
    ),
    (
        "colon space",
        "basis: goodwill",
        "basis:goodwill",
        [
            "5:7: PE001 a space is missing after the colon; write `basis: goodwill`",
        ],
    ),
    (
        "colon space nested",
        "        amount: percent(",
        "        amount:percent(",
        [
            "20:16: PE001 a space is missing after the colon; write `amount: percent(booking.paid, param.share)`",
        ],
    ),
    (
        "version quoted",
        "version: 1",
        'version: "1"',
        [
            "2:10: PE003 expected a whole number, got text; write 1, without quotes",
        ],
    ),
    (
        "version v1",
        "version: 1",
        "version: v1",
        [
            "2:10: PE003 expected a whole number, got text; write 1",
        ],
    ),
    (
        "version 1.0",
        "version: 1",
        "version: 1.0",
        [
            "2:10: PE003 expected a whole number, got a decimal; write 1",
        ],
    ),
    (
        "version dec",
        "version: 1",
        "version: 1.5",
        [
            "2:10: PE003 expected a whole number, got a decimal; write digits only, without quotes",
        ],
    ),
    (
        "dup key",
        "basis: goodwill",
        "basis: goodwill\nbasis: statutory",
        [
            "6:1: PE006 `basis` is written twice; keep one of the two",
        ],
    ),
    (
        "merge conflict",
        "basis: goodwill",
        "<<<<<<< HEAD\nbasis: goodwill\n=======\nbasis: statutory\n>>>>>>> theirs",
        [
            "5:1: PE001 two versions of the file were merged and nobody chose; keep one of the two, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>",
        ],
    ),
    (
        "bare text in cond",
        '"hotel"',
        "hotel",
        [
            '17:25: PE031 unknown attribute `hotel`; text needs quotes: "hotel"',
        ],
    ),
    (
        "event space",
        "on: booking.cancelled",
        "on: booking cancelled",
        [
            "14:9: PE030 unknown event type `booking cancelled`; did you mean `booking.cancelled`?",
        ],
    ),
    (
        "event caps",
        "on: booking.cancelled",
        "on: Booking.Cancelled",
        [
            "14:9: PE030 unknown event type `Booking.Cancelled`; did you mean `booking.cancelled`?",
        ],
    ),
    (
        "attr space",
        "booking.nights > 2",
        "booking nights > 2",
        [
            "16:17: PE033 `nights` is not expected here; write a dot between them if you mean booking.nights",
        ],
    ),
    (
        "attr of wrong",
        "booking.nights > 2",
        "booking.night > 2",
        [
            "16:9: PE031 unknown attribute `booking.night`; did you mean `booking.nights`?",
        ],
    ),
    (
        "lang name",
        'en: "We return',
        'English: "We return',
        [
            "23:7: PE003 unknown language `English`; write en",
        ],
    ),
    (
        "tz abbreviation",
        "timezone: Asia/Jerusalem",
        "timezone: IST",
        [
            "9:11: PE003 unknown time zone `IST`; write continent/city, such as Asia/Jerusalem",
        ],
    ),
    (
        "tz city",
        "timezone: Asia/Jerusalem",
        "timezone: Jerusalem",
        [
            "9:11: PE003 unknown time zone `Jerusalem`; did you mean `Asia/Jerusalem`?",
        ],
    ),
    (
        "placeholder typo",
        '{amount}."\n      he',
        '{amuont}."\n      he',
        [
            "23:12: PE060 unknown placeholder `{amuont}`; did you mean `amount`?",
        ],
    ),
    (
        "double brace",
        "We return {amount}.",
        "We return {{amount}.",
        [
            "23:12: PE061 malformed message: a `}` without its `{`; write `}}` for a brace",
        ],
    ),
    (
        "brace open",
        "We return {amount}.",
        "We return {amount.",
        [
            "23:12: PE061 malformed message: a `{` is not closed; write `{until}` for a value, and `{{` for a brace",
        ],
    ),
    (
        "value colon",
        "title: {en: Money back, he: החזר}",
        "title: {en: Money: back, he: החזר}",
        [
            '3:18: PE001 a second colon stands within `{ }`; put text with a colon in quotes: "…: …"',
        ],
    ),
    (
        "title text",
        "title: {en: Money back, he: החזר}",
        "title: Money back",
        [
            '3:8: PE003 expected keys and values, got text; name the language: {en: "Money back"}',
        ],
    ),
    (
        "value colon2",
        "owner: care@travel.example",
        "owner: Care: the team",
        [
            "4:12: PE001 a second `: ` stands in this place; put text that contains `: ` in quotes, and check the indentation",
        ],
    ),
    (
        "hash in text",
        "owner: care@travel.example",
        "owner: # care",
        [
            "4:1: PE003 `owner` has no value; write one, or remove the line",
        ],
    ),
    (
        "star",
        "owner: care@travel.example",
        "owner: *care",
        [
            "4:8: PE005 anchors (`&`) and aliases (`*`) are refused; write the value out, or put text that starts so in quotes",
        ],
    ),
    (
        "missing bracket",
        "effective: {from: 2020-03-15, until: 2021-01-01}",
        "effective: {from: 2020-03-15, until: 2021-01-01",
        [
            "7:12: PE001 the `{` is not closed; write `}` at its end, and a comma between its parts",
        ],
    ),
    (
        "semicolon list",
        "booking.nights > 2",
        'booking.kind in ["hotel"; "tour"]',
        [
            "16:33: PE033 `;` is not understood; write a comma",
        ],
    ),
    (
        "round brackets list",
        "booking.nights > 2",
        'booking.kind in ("hotel", "tour")',
        [
            "16:25: PE033 a list is not written in round brackets; write square ones: in [1, 2, 3]",
        ],
    ),
    (
        "excel if",
        "percent(booking.paid, param.share)",
        "IF(booking.nights > 2, booking.paid, 0)",
        [
            "20:17: PE034 unknown function `IF`; write condition ? this : that",
        ],
    ),
    (
        "paid * 0.8",
        "percent(booking.paid, param.share)",
        "booking.paid * 0.8",
        [
            "20:30: PE032 multiplies money by a decimal; write percent(booking.paid, 80)",
        ],
    ),
    (
        "paid * 80%",
        "percent(booking.paid, param.share)",
        "booking.paid * 80%",
        [
            "20:32: PE033 `80%` is no number; write percent(booking.paid, 80), with the amount that you mean",
        ],
    ),
    (
        "basis he",
        "basis: goodwill",
        "basis: רצון טוב",
        [
            "5:8: PE003 `רצון טוב` is not one of statutory, contractual, goodwill; write goodwill",
        ],
    ),
    (
        "basis caps",
        "basis: goodwill",
        "basis: Goodwill",
        [
            "5:8: PE003 `Goodwill` is not one of statutory, contractual, goodwill; did you mean `goodwill`?",
        ],
    ),
    (
        "until before",
        "until: 2021-01-01",
        "until: 2020-01-01",
        [
            "7:38: PE053 `until` is not after `from`: the version would never govern; `until` is the first day that does not count any more: write a later one",
        ],
    ),
    (
        "null",
        "owner: care@travel.example",
        "owner:",
        [
            "4:1: PE003 `owner` has no value; write one, or remove the line",
        ],
    ),
    (
        "today()",
        "date_of(event.time)",
        "today()",
        [
            "21:23: PE034 unknown function `today`; there is no clock: the day of the event is date_of(event.time)",
        ],
    ),
    (
        "id space",
        "id: refund",
        "id: Refund hotel",
        [
            "13:9: PE003 `Refund hotel` cannot stand here; write small letters, digits, `-`, `_` and `.`, such as `refund-hotel`",
        ],
    ),
    (
        "policy space",
        "policy: travel/late-train",
        "policy: Late train",
        [
            "1:9: PE003 `Late train` cannot stand here; write small letters, digits, `-`, `_`, `.` and `/`, such as `late-train`",
        ],
    ),
    (
        "empty when",
        '    when:\n      - booking.nights > 2\n      - booking.kind == "hotel"',
        "    when:",
        [
            "15:5: PE003 `when` has no value; write one, or remove the line",
        ],
    ),
    (
        "cap no period",
        "    grant:",
        "    cap: {count: once}\n    grant:",
        [
            "18:18: PE003 expected a whole number, got text; write digits only, without quotes",
        ],
    ),
    (
        "date time",
        "2020-03-15",
        "2020-03-15 8am",
        [
            "7:19: PE003 `2020-03-15 8am` is no date or time; write 2020-03-15, or 2020-03-15T08:00:00Z",
        ],
    ),
    (
        "smart dash minus",
        "booking.nights > 2",
        "booking.nights > –2",
        [
            "16:26: PE033 `–` is not understood; write -",
        ],
    ),
    (
        "×",
        "percent(booking.paid, param.share)",
        "booking.paid × 2",
        [
            "20:30: PE033 `×` is not understood; write *",
        ],
    ),
    (
        "comment slashes",
        "owner: care@travel.example",
        "owner: care@travel.example\n// a comment",
        [
            "5:1: PE001 `//` begins no comment; write # before a comment",
        ],
    ),
    (
        "<!-- -->",
        "owner: care@travel.example",
        "owner: care@travel.example\n<!-- note -->",
        [
            "5:1: PE001 `<!--` begins no comment; write # before a comment",
        ],
    ),
    (
        "brackets fullwidth",
        "percent(booking.paid, param.share)",
        "percent（booking.paid, param.share)",
        [
            "20:24: PE033 `（` is not understood; write (",
        ],
    ),
    (
        "date in param key",
        "  share: 80",
        "  share: {15.3.2020: 80}",
        [
            "11:11: PE003 `15.3.2020` is no date; write 2020-03-15",
        ],
    ),
    (
        "pct param key",
        "  share: 80",
        "  Share: 80",
        [
            "11:3: PE003 `Share` cannot stand here; write small letters, digits and `_`, a letter first, such as `share`",
        ],
    ),
    (
        "param undeclared",
        "param.share",
        "param.shar",
        [
            "20:39: PE031 unknown parameter `param.shar`; did you mean `param.share`?",
        ],
    ),
    (
        "param no prefix",
        "param.share)",
        "share)",
        [
            "20:39: PE031 unknown attribute `share`; write param.share if you mean the parameter",
        ],
    ),
]
