"""An example of each command of administration, shown below its help; a test reads each as it is typed.

Identifiers are cut short, as people write them down. Commands that need more than a line have theirs in their
own words.
"""

from collections.abc import Iterator, Mapping

import click

_LINES = """
account close 0b3f… --why asked
account dormant --json
account give-back 0b3f… --by source
account show 0b3f…
account tell 0b3f…
application approve 5d21… --by-post
application due 2027-01-31
application end-proof 0b3f… residence
application list --state open
application proof 0b3f… residence --reference "council tax 2026" --review-on 2027-04-01
application recheck --suspend
application refuse 5d21… --reason "lives in another borough"
application show 5d21…
application withdraw 5d21…
bureau add vale-cards --name "Vale Cards" --signing-key vale-sign.pem --sealing-key vale-seal.pem
bureau batch vale-cards --send-to holder
bureau certificates 91ac… certificates.txt
bureau letters 91ac… letters.csv
bureau order 91ac… order.txt
bureau take vale-cards results.txt --dry-run
card dispatch 7c44…
card entitlements 7c44… --json
card expire --dry-run
card grow-up --by-post --dry-run
card lend 7c44… --until 2026-09-01T17:00+01:00
card lent
card list --cardholder 0b3f…
card order 0b3f… --kind citizen --by-post
card release 7c44… --reason "found again"
card replace 7c44… --by-post
card revoke 7c44… --reason stolen
card show 7c44…
card suspend 7c44… --reason "left on a bus"
card take-back 7c44…
card told-lost 7c44… --by phone
cardholder accesses 0b3f…
cardholder add "Morgan Reed" --category adult
cardholder address 0b3f… --paon 12 --street "Mill Lane" --town Ashcombe --postcode "AB1 2CD"
cardholder born 0b3f… 1987-11-23
cardholder consent 0b3f… notices --wording 2026-1
cardholder contact 0b3f… --email morgan@example.org
cardholder erase 0b3f… --dry-run
cardholder export 0b3f… morgan-reed
cardholder flag 0b3f… protected_address
cardholder guardian bar 2e90… 0b3f… --order "family court, 14 May 2026"
cardholder guardian end 2e90… 6f1d…
cardholder guardian family 0b3f…
cardholder guardian list 2e90…
cardholder photo 0b3f… morgan.jpg
cardholder prefer 0b3f… larger_text more_time --language cy
cardholder set 0b3f… --name "Morgan Field"
cardholder show 0b3f…
import list
import undo 33c0…
provider add vale-buses --name "Vale Buses"
provider card-key vale-buses F5C011 --key read
provider card-keys vale-buses
provider close vale-buses --reason "contract over" --from 2026-12-31T18:00+00:00
provider list
provider reopen vale-buses --reason "contract renewed"
provider sales vale-buses 2026-06-01 2026-06-30 --csv
provider sells vale-buses transport
provider set vale-buses --name "Vale Coaches"
provider show vale-buses
provider statement vale-buses 2026-06-01 2026-06-30
staff add ben --name "Ben Hill" --role desk
staff disable ben
staff enable ben
staff enrol ben --csr ben.csr --out ben.crt
staff give ben finance
staff invite ben
staff list
staff recover ben
staff rights
staff sessions ben --end
staff take ben finance
stock count --product dual-8k --place library --counted 47 --reason "end of month"
stock desk desk-1 --product dual-8k --place library
stock move --product dual-8k --from town-hall --to library --count 50
stock place town-hall --name "Town hall"
stock show --low
stock spoil --product dual-8k --place library --count 2 --reason "bent in the post"
stock warn --product dual-8k --place library --below 20
terminal add bus-12 --csr bus-12.csr --provider vale-buses --role validator --out bus-12.crt
terminal gaps bus-12
terminal invite bus-12 --provider vale-buses --role validator --offline-limit 500
terminal invited
terminal list
terminal revoke bus-12 --reason stolen
terminal set bus-12 --role validator --offline-limit 500
terminal uninvite bus-12
"""


def _named() -> Iterator[tuple[str, str]]:
    for line in _LINES.strip().splitlines():
        words = line.split()
        # A group within a group is named by three words.
        names = words[:3] if words[1] == "guardian" else words[:2]
        yield " ".join(names), line


EXAMPLES: Mapping[str, str] = dict(_named())


def illustrate(command: click.Command, name: str) -> click.Command:
    """The command with an example below its help, and so each that is below it."""
    if isinstance(command, click.Group):
        for each, below in command.commands.items():
            illustrate(below, f"{name} {each}")
    elif name in EXAMPLES and command.epilog is None:
        # \b: lines stay as they are.
        command.epilog = f"\b\nFor example:\n  cardservice {EXAMPLES[name]}"
    return command
