"""What is refused when a feed or a map is loaded: with the file, the line, and a reason."""

import zipfile
from pathlib import Path

import pytest

from cardservice.services.seam import TariffError
from cardservice.services.transport import archive as archive_module
from tests.cardservice.services.feeds import (
    FEED,
    changed,
    load,
    transport,
    write_folder,
    write_map,
    write_zip,
)

PRODUCTS = "fare_product_id,fare_media_id,amount,currency\n"
RULES = "from_area_id,to_area_id,fare_product_id\n"
# A name that spans three lines, then a row that is wrong: it is on line 5.
QUOTED = 'stop_id,stop_name\na1,"Alder\nGreen\nRoad"\n,No id\n'

CROWDED = "area_id,stop_id\n" + "".join(f"m{number},a1\n" for number in range(21))
BELOW_ZERO = FEED["fare_products.txt"].replace("adult,card,1.00", "adult,card,-1.00")


def _products(*rows: str) -> str:
    return PRODUCTS + "".join(f"{row}\n" for row in rows)


def _amount(amount: str) -> str:
    return _products("other,card,1.00,GBP", f"short,card,{amount},GBP")


REFUSED: list[tuple[str, str, str | bytes | None, int | None, str]] = [
    # Money.
    (
        "an amount that is none",
        "fare_products.txt",
        _amount("four"),
        3,
        "amount: 'four' is not a decimal amount",
    ),
    ("an amount with a comma", "fare_products.txt", _amount('"4,00"'), 3, "amount: '4,00' is not"),
    ("an amount with a sign", "fare_products.txt", _amount("+4.00"), 3, "amount: '+4.00' is not"),
    ("an exponent", "fare_products.txt", _amount("4e2"), 3, "amount: '4e2' is not"),
    ("not a number", "fare_products.txt", _amount("NaN"), 3, "amount: 'NaN' is not"),
    ("digits of another script", "fare_products.txt", _amount("٤.00"), 3, "is not a decimal amount"),
    ("no digit before the point", "fare_products.txt", _amount(".50"), 3, "amount: '.50' is not"),
    ("too many decimals", "fare_products.txt", _amount("4.005"), 3, "more than the 2 decimal places of GBP"),
    ("too many zeros", "fare_products.txt", _amount("4.000"), 3, "more than the 2 decimal places of GBP"),
    ("too large", "fare_products.txt", _amount("99999999999999.00"), 3, "is out of range"),
    ("no amount", "fare_products.txt", _amount(""), 3, "amount: is empty"),
    (
        "another currency",
        "fare_products.txt",
        _products("short,card,1.00,EUR"),
        2,
        "'EUR' is not the scheme's",
    ),
    (
        "a currency in small letters",
        "fare_products.txt",
        _products("short,card,1.00,gbp"),
        2,
        "is not the scheme's",
    ),
    ("no currency", "fare_products.txt", _products("short,card,1.00,"), 2, "currency: is empty"),
    # References.
    (
        "an unknown product",
        "fare_leg_rules.txt",
        RULES + "a,b,short\na,c,gone\n",
        3,
        "fare_product_id: there is no",
    ),
    (
        "an unknown departure area",
        "fare_leg_rules.txt",
        RULES + "z,b,short\n",
        2,
        "from_area_id: there is no 'z'",
    ),
    (
        "an unknown arrival area",
        "fare_leg_rules.txt",
        RULES + "a,z,short\n",
        2,
        "to_area_id: there is no 'z'",
    ),
    (
        "an unknown network",
        "fare_leg_rules.txt",
        "network_id,fare_product_id\nn,short\n",
        2,
        "network_id: there is no",
    ),
    (
        "an unknown area of a stop",
        "stop_areas.txt",
        "area_id,stop_id\nz,a1\n",
        2,
        "area_id: there is no area 'z'",
    ),
    (
        "an unknown stop of an area",
        "stop_areas.txt",
        "area_id,stop_id\na,x\n",
        2,
        "stop_id: there is no stop 'x'",
    ),
    (
        "an unknown station",
        "stops.txt",
        "stop_id,parent_station\na1,x\n",
        2,
        "parent_station: there is no stop 'x'",
    ),
    (
        "an unknown medium",
        "fare_products.txt",
        _products("short,paper,1.00,GBP"),
        2,
        "no fare medium 'paper'",
    ),
    (
        "an unknown rider category",
        "fare_products.txt",
        "fare_product_id,rider_category_id,amount,currency\nshort,pupil,1.00,GBP\n",
        2,
        "rider_category_id: there is no rider category 'pupil'",
    ),
    # Columns and values.
    (
        "a missing column",
        "fare_products.txt",
        "fare_product_id,currency\nshort,GBP\n",
        1,
        "'amount' is missing",
    ),
    ("a column twice", "areas.txt", "area_id,area_id\na,a\n", 1, "column 'area_id' is there twice"),
    ("more columns than a file has", "areas.txt", "area_id" + ",x" * 200 + "\n", 1, "more than 200 columns"),
    ("a stop in too many areas", "stop_areas.txt", CROWDED, 22, "stop_id: 'a1' is in more than 20 areas"),
    ("no header", "areas.txt", "", 1, "is empty"),
    ("a value too few", "areas.txt", "area_id,area_name\na,Alder\nb\n", 3, "has 1 values for 2 columns"),
    ("a value too many", "areas.txt", "area_id,area_name\na,Alder,\n", 2, "has 3 values for 2 columns"),
    ("no id", "areas.txt", "area_id,area_name\na,Alder\n,Birch\n", 3, "area_id: is empty"),
    (
        "an id that is too long",
        "areas.txt",
        "area_id\n" + "a" * 256 + "\n",
        2,
        "is longer than 255 characters",
    ),
    (
        "a column that could narrow a rule",
        "fare_leg_rules.txt",
        "fare_product_id,min_km\nshort,3\n",
        2,
        "'min_km'",
    ),
    (
        "a column that could change a price",
        "fare_products.txt",
        "fare_product_id,amount,currency,bundle_amount\nshort,1.00,GBP,2\n",
        2,
        "column 'bundle_amount' is not known",
    ),
    (
        "a time of day that is not there",
        "fare_leg_rules.txt",
        "from_timeframe_group_id,fare_product_id\npeak,short\n",
        2,
        "from_timeframe_group_id: there is no 'peak' in timeframes.txt",
    ),
    (
        "a priority that is none",
        "fare_leg_rules.txt",
        "fare_product_id,rule_priority\nshort,1_0\n",
        2,
        "rule_priority: is not a whole number",
    ),
    (
        "a priority below zero",
        "fare_leg_rules.txt",
        "fare_product_id,rule_priority\nshort,-1\n",
        2,
        "rule_priority: is not a whole number",
    ),
    (
        "a kind of stop that is none",
        "stops.txt",
        "stop_id,location_type\na1,5\n",
        2,
        "is not between 0 and 4",
    ),
    ("a medium without a type", "fare_media.txt", "fare_media_id,fare_media_type\ncard,\n", 2, "is empty"),
    ("a fare below zero", "fare_products.txt", BELOW_ZERO, 2, "amount: is below zero"),
    # What may be there once only.
    ("an area twice", "areas.txt", "area_id\na\nb\nc\na\n", 5, "a is on line 2 already"),
    ("a stop twice", "stops.txt", "stop_id\na1\na1\n", 3, "a1 is on line 2 already"),
    (
        "a price twice",
        "fare_products.txt",
        _products("short,card,1.00,GBP", "short,card,2.00,GBP"),
        3,
        "line 2",
    ),
    ("a rule twice", "fare_leg_rules.txt", RULES + "a,b,short\na,b,short\n", 3, "short is on line 2 already"),
    ("a stop twice in an area", "stop_areas.txt", "area_id,stop_id\na,a1\na,a1\n", 3, "a, a1 is on line 2"),
    (
        "two defaults",
        "rider_categories.txt",
        "rider_category_id,rider_category_name,is_default_fare_category\nadult,A,1\nyoung,Y,1\nolder,O,\n",
        3,
        "line 2 is the default already",
    ),
    (
        "two prices for a ride",
        "fare_leg_rules.txt",
        RULES + "a,b,short\na,b,long\n",
        3,
        "another price than line 2",
    ),
    # Bytes.
    (
        "another encoding",
        "areas.txt",
        "area_id,area_name\na,Alder\nb,Bl\xe5\nc,C\n".encode("latin-1"),
        3,
        "UTF-8",
    ),
    ("UTF-16", "areas.txt", "area_id\na\n".encode("utf-16"), 1, "is not UTF-8: byte 0xff"),
    ("a control character", "areas.txt", "area_id,area_name\na,\x1b[2J\n", 2, "holds a control character"),
    ("a null byte", "areas.txt", b"area_id\na\x00\n", 2, "holds a control character"),
    ("the error's line after quoted line breaks", "stops.txt", QUOTED, 5, "stop_id: is empty"),
    (
        "a quote that never ends",
        "areas.txt",
        'area_id,area_name\na,Alder\nb,"Birch\nc,C\n',
        3,
        "comma-separated",
    ),
    ("a quote in the wrong place", "areas.txt", 'area_id,area_name\na,"Al"der\n', 2, "comma-separated"),
    ("line ends of an old Macintosh", "areas.txt", "area_id\ra\rb\r", 1, "comma-separated"),
    ("a line that is too long", "areas.txt", b"area_id\n" + b"a" * 70_000, 2, "the line is longer than"),
    # Files and dates.
    ("no stops", "stops.txt", None, None, "is missing from the feed"),
    ("no products", "fare_products.txt", None, None, "is missing from the feed"),
    ("no leg rules", "fare_leg_rules.txt", None, None, "is missing from the feed"),
    ("no agency", "agency.txt", None, None, "is missing from the feed"),
    ("an empty agency", "agency.txt", "agency_name,agency_timezone\n", None, "names no agency"),
    ("no dates at all", "feed_info.txt", None, None, "nobody knows how long it holds"),
    (
        "a day that is none",
        "feed_info.txt",
        "feed_start_date,feed_end_date\n20260101,20260230\n",
        2,
        "calendar",
    ),
    (
        "a day in another form",
        "feed_info.txt",
        "feed_start_date\n2026-01-01\n",
        2,
        "is not a day like 20261231",
    ),
    (
        "an end before the start",
        "feed_info.txt",
        "feed_start_date,feed_end_date\n20260102,20260101\n",
        None,
        "ends on",
    ),
    (
        "two rows of feed_info",
        "feed_info.txt",
        "feed_start_date,feed_end_date\n20260101,20260102\n,\n",
        3,
        "one row",
    ),
    (
        "a time zone that is none",
        "agency.txt",
        "agency_name,agency_timezone\nB,Mars/Base\n",
        2,
        "no time zone",
    ),
    (
        "a time zone that is a path",
        "agency.txt",
        "agency_name,agency_timezone\nB,../../etc/passwd\n",
        2,
        "no time zone",
    ),
    (
        "a time zone that is a folder",
        "agency.txt",
        "agency_name,agency_timezone\nB,Europe\n",
        2,
        "no time zone",
    ),
    (
        "agencies in two time zones",
        "agency.txt",
        "agency_name,agency_timezone\nB,Europe/London\nC,Europe/Warsaw\n",
        3,
        "is another than on line 2",
    ),
    (
        "stations in a circle",
        "stops.txt",
        "stop_id,parent_station\na1,a2\na2,a1\n",
        2,
        "a platform and a station",
    ),
]


@pytest.mark.parametrize(
    ("file", "content", "line", "reason"),
    [pytest.param(*case[1:], id=case[0]) for case in REFUSED],
)
def test_refused(
    file: str, content: str | bytes | None, line: int | None, reason: str, tmp_path: Path
) -> None:
    # Where the stops or areas are replaced, what refers to them would be refused first.
    changes: dict[str, str | bytes | None] = {file: content}
    if file == "stops.txt":
        changes["stop_areas.txt"] = None
    if content == CROWDED:
        changes["areas.txt"] = "area_id\na\nb\nc\n" + "".join(f"m{number}\n" for number in range(21))
    with pytest.raises(TariffError) as refused:
        load(tmp_path, changes)
    assert (refused.value.file, refused.value.line) == (file, line)
    assert reason in refused.value.reason
    assert str(refused.value).startswith(f"{file}:{line}: " if line else f"{file}: ")


def test_the_feed_that_the_refusals_start_from_loads(tmp_path: Path) -> None:
    assert load(tmp_path).content["rules"]


@pytest.mark.parametrize("name", ["networks.txt", "route_networks.txt"])
def test_networks_in_two_places_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TariffError, match="must not be there") as refused:
        load(tmp_path, {"routes.txt": "route_id,network_id\nr1,n\n", name: "network_id,route_id\nn,r1\n"})
    assert refused.value.file == name


MAPS: list[tuple[str, dict[str, object], str]] = [
    ("a medium that the feed does not have", {"fare_medium": "paper"}, "no fare medium 'paper'"),
    ("no medium where every product has one", {"fare_medium": None}, "is sold without a fare medium"),
    ("a medium that is a number", {"fare_medium": 0}, "fare_medium: Not a valid string"),
    ("a category that the feed does not have", {"rider_categories": {"adult": "x"}}, "no rider category 'x'"),
    (
        "a category that is left open",
        {"rider_categories": {"adult": None}},
        "'adult' needs one of the feed's",
    ),
    ("no categories", {"rider_categories": {}}, "rider_categories"),
    ("a default that is not listed", {"default_category": "pensioner"}, "'pensioner' is not one of"),
    ("a field that there is not", {"fare_media": "card"}, "fare_media: Unknown field"),
    (
        "a single fare without a rule",
        {"single_fare_products": ["free", "month"]},
        "no leg rule of the feed names",
    ),
    ("no single fares", {"single_fare_products": []}, "single_fare_products"),
    ("a quote for no time", {"offline_quote_hours": 0}, "offline_quote_hours"),
    ("a quote for longer than a week", {"offline_quote_hours": 169}, "offline_quote_hours"),
    ("a quote for a time in words", {"offline_quote_hours": "24"}, "offline_quote_hours"),
]


@pytest.mark.parametrize(("change", "reason"), [pytest.param(*case[1:], id=case[0]) for case in MAPS])
def test_a_map_is_refused(change: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises(TariffError) as refused:
        load(tmp_path, card_map=change)
    assert refused.value.file == "map.json"
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b'{"fare_medium": "card",\n "fare_medium": "cash"}', None, "'fare_medium' is there twice"),
        (b'{"fare_medium": "card",\n', 2, "is not JSON"),
        (b'{\n"fare_medium": "\xff"}', 2, "is not UTF-8"),
        (b"[]", None, "is not a JSON object"),
        (b"[" * 60_000, None, "is not JSON that can be read"),
        (b" " * 70_000, None, "is larger than 64 KiB"),
        (b"", 1, "is not JSON"),
    ],
)
def test_a_map_that_cannot_be_read(text: bytes, line: int | None, reason: str, tmp_path: Path) -> None:
    feed = write_folder(tmp_path / "feed", changed({}))
    path = tmp_path / "map.json"
    path.write_bytes(text)
    with pytest.raises(TariffError) as refused:
        transport().load([feed, path], currency="GBP")
    assert (refused.value.file, refused.value.line) == ("map.json", line)
    assert reason in refused.value.reason


def test_a_feed_and_a_map_and_nothing_else_is_wanted(tmp_path: Path) -> None:
    feed, card_map = write_folder(tmp_path / "feed", changed({})), write_map(tmp_path / "map.json")
    for files in ([], [feed], [card_map], [feed, feed, card_map], [feed, card_map, card_map]):
        with pytest.raises(TariffError, match=r"name one (feed|map file)"):
            transport().load(files, currency="GBP")
    for missing in ([tmp_path / "no.zip", card_map], [feed, tmp_path / "no.json"]):
        with pytest.raises(TariffError, match="cannot be read: No such file"):
            transport().load(missing, currency="GBP")


class TestArchives:
    """Bytes that somebody meant badly, or sent by half."""

    def _refusal(self, path: Path) -> TariffError:
        with pytest.raises(TariffError) as refused:
            transport().load([path, write_map(path.parent / "map.json")], currency="GBP")
        return refused.value

    @pytest.mark.parametrize(
        "name", ["../stops.txt", "/etc/passwd", "a/../../b", "..\\stops.txt", "C:/x", "a/..", "\x1b[2J/../x"]
    )
    def test_a_path_that_leads_elsewhere(self, name: str, tmp_path: Path) -> None:
        problem = self._refusal(write_zip(tmp_path / "feed.zip", changed({}) | {name: b""}))
        assert problem.file == "feed.zip"
        assert problem.reason.startswith("holds a file with the path ")
        assert problem.reason.isprintable()

    def test_a_file_that_is_there_twice(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "feed.zip", changed({}))
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("stops.txt", "stop_id\n")
        assert self._refusal(path).reason == "holds stops.txt twice"

    def test_a_file_that_grows_beyond_the_limit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive_module, "MAX_FILE_BYTES", 1 << 20)
        bomb = b"area_id\n" + b"\n" * (2 << 20)
        path = write_zip(tmp_path / "feed.zip", changed({"areas.txt": bomb}))
        assert path.stat().st_size < 20_000
        problem = self._refusal(path)
        assert (problem.file, problem.reason) == ("areas.txt", "the file is larger than 1 MiB")

    def test_a_bomb_in_a_file_that_is_not_read_harms_nobody(self, tmp_path: Path) -> None:
        files = changed({}) | {"shapes.txt": b"\0" * (80 << 20)}
        loaded = transport().load(
            [write_zip(tmp_path / "feed.zip", files), write_map(tmp_path / "map.json")], currency="GBP"
        )
        assert any(line.startswith("shapes.txt: passed over") for line in loaded.report)

    def test_more_names_than_a_feed_has(self, tmp_path: Path) -> None:
        path = tmp_path / "feed.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(20_000):
                archive.writestr(f"{number:05d}.txt", b"")
        assert self._refusal(path).reason == "has too many files in it"

    def test_an_archive_that_is_too_large_is_not_opened(self, tmp_path: Path) -> None:
        path = tmp_path / "feed.zip"
        with path.open("wb") as file:
            file.truncate(archive_module.MAX_ARCHIVE_BYTES + 1)  # sparse: it takes no room
        assert self._refusal(path).reason == "is larger than 512 MiB"

    def test_zip64_is_not_needed(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "feed.zip", changed({}))
        content = path.read_bytes()
        path.write_bytes(content[:-22] + b"PK\x06\x07" + bytes(16) + content[-22:])
        assert self._refusal(path).reason.startswith("is a zip64 archive")

    def test_an_encrypted_file(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "feed.zip", changed({}))
        content = bytearray(path.read_bytes())
        for start in (content.find(b"PK\x03\x04") + 6, content.find(b"PK\x01\x02") + 8):
            content[start] |= 1  # PKWARE APPNOTE 4.4.4: bit 0, the file is encrypted
        path.write_bytes(content)
        problem = self._refusal(path)
        assert (problem.file, "encrypted" in problem.reason) == ("agency.txt", True)

    def test_a_file_whose_checksum_is_wrong(self, tmp_path: Path) -> None:
        path = tmp_path / "feed.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, content in changed({}).items():
                archive.writestr(name, content)
        path.write_bytes(path.read_bytes().replace(b"Buses,Europe", b"Trams,Europe"))
        problem = self._refusal(path)
        assert (problem.file, "CRC" in problem.reason) == ("agency.txt", True)

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_method_with_dictionaries_of_any_size(self, method: int, tmp_path: Path) -> None:
        path = tmp_path / "feed.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in changed({}).items():
                archive.writestr(name, content)
        assert "another method than deflate" in self._refusal(path).reason

    def test_half_an_archive(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "feed.zip", changed({}))
        path.write_bytes(path.read_bytes()[:-200])
        assert "is not a zip archive" in self._refusal(path).reason

    def test_a_feed_in_a_folder_of_its_archive_is_not_found(self, tmp_path: Path) -> None:
        files = {f"feed/{name}": content for name, content in changed({}).items()}
        problem = self._refusal(write_zip(tmp_path / "feed.zip", files))
        assert (problem.file, problem.reason) == ("agency.txt", "is missing from the feed")
