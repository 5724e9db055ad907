"""From the machine's apt sources to the choice of a kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmexp.lab.apt import AptArea
from hmexp.lab.cache import cache_directory, ensure_directory
from hmexp.lab.catalogue import KernelPackage, _write, catalogue, packages_of, select, upstream_version
from hmexp.lab.errors import LabKernelError, LabNeedError
from hmexp.lab.sources import AptSource, derive, parse_deb822, parse_list, read_sources

MAIN = AptSource("http://mirror.invalid/debian", "bookworm", (("Signed-By", "/k.gpg"),))
SECURITY = AptSource("http://mirror.invalid/security", "bookworm-security")


def test_both_formats_of_apt_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://mirror.invalid/old bookworm main\n"
        "deb-src http://mirror.invalid/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.invalid/debian bookworm main contrib # ours\n"
        "deb http://mirror.invalid/other bookworm stable\n"
    )
    (tmp_path / "sources.list.d" / "security.sources").write_text(
        "# made by a machine\nTypes: deb deb-src\nURIs: http://mirror.invalid/security\n"
        "Suites: bookworm-security\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://mirror.invalid/x\nSuites: bookworm\nComponents: main\n"
    )
    (tmp_path / "sources.list.d" / "note.txt").write_text("deb http://mirror.invalid/n bookworm main\n")
    assert read_sources(tmp_path) == [MAIN, SECURITY]


def test_a_key_that_is_written_out_stays_whole() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n -----END PGP PUBLIC KEY BLOCK-----"
    text = f"Types: deb\nURIs: http://mirror.invalid/d\nSuites: trixie\nComponents: main\nSigned-By:{key}\n"
    [source] = parse_deb822(text)
    assert source.options == (("Signed-By", key.removesuffix("\n")),)
    assert parse_deb822(source.stanza()) == [AptSource(source.uri, "trixie", (("Signed-By", key),))]


def test_another_release_comes_from_the_same_archives() -> None:
    assert derive([MAIN, SECURITY], "trixie") == [
        AptSource(MAIN.uri, "trixie", MAIN.options),
        AptSource(MAIN.uri, "trixie-updates", MAIN.options),
        AptSource(MAIN.uri, "trixie-backports", MAIN.options),
        AptSource(SECURITY.uri, "trixie-security"),
    ]


def test_aliases_are_followed_and_strangers_passed_over() -> None:
    sources = parse_list(
        "deb http://mirror.invalid/debian stable main\n"
        "deb http://mirror.invalid/debian stable-updates main\n"
        "deb http://mirror.invalid/tool bookworm-tool main\n"
        "deb http://mirror.invalid/node nodistro main\n"
        "deb cdrom:[disc]/ bookworm main\n"
    )
    derived = derive(sources, "bullseye")
    assert [source.suite for source in derived] == ["bullseye", "bullseye-updates", "bullseye-backports"]
    assert {source.uri for source in derived} == {"http://mirror.invalid/debian"}


def test_a_machine_without_debian_sources_is_told_so(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(LabNeedError, match=r"no apt source in .* is a Debian archive") as caught:
        AptArea("trixie").update(tmp_path)
    assert "name a kernel by its path" in str(caught.value)


def stanza(package: str, version: str, suite: str, depends: str = "kmod") -> dict[str, str]:
    return {"Package": package, "Version": version, "Codename": suite, "Depends": depends}


def packages() -> list[KernelPackage]:
    bookworm = [
        stanza("linux-image-amd64", "6.1.176-1", "bookworm", "linux-image-6.1.0-50-amd64 (= 6.1.176-1)"),
        stanza(
            "linux-image-amd64", "6.1.192-2", "bookworm-security", "linux-image-6.1.0-56-amd64 (= 6.1.192-2)"
        ),
        stanza(
            "linux-image-amd64", "6.12.95-1~bpo12+1", "bookworm-backports", "linux-image-6.12.95+deb12-amd64"
        ),
        stanza("linux-image-6.1.0-50-amd64", "6.1.176-1", "bookworm"),
        stanza("linux-image-6.1.0-55-amd64", "6.1.192-1", "bookworm-security"),
        stanza("linux-headers-6.1.0-55-amd64", "6.1.192-1", "bookworm-security"),
        stanza("linux-image-6.1.0-56-amd64", "6.1.192-2", "bookworm-security"),
        stanza("linux-headers-6.1.0-56-amd64", "6.1.192-2", "bookworm-security"),
        stanza("linux-image-6.12.95+deb12-amd64", "6.12.95-1~bpo12+1", "bookworm-backports"),
        stanza("linux-image-6.12.117+deb12-amd64", "6.12.117-1~deb12u1", "bookworm-security"),
        stanza("linux-headers-6.12.117+deb12-amd64", "6.12.117-1~deb12u1", "bookworm-security"),
        stanza("linux-image-6.12-amd64", "6.12.117-1~deb12u1", "bookworm-security"),
        stanza("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2", "bookworm-security"),
    ]
    trixie = [
        stanza("linux-image-6.12.117+deb13-amd64", "6.12.117-1", "trixie"),
        stanza("linux-headers-6.12.117+deb13-amd64", "6.12.117-1", "trixie"),
        stanza(
            "linux-image-7.3.4+deb13-amd64", "7.3.4-1~bpo13+1", "trixie-backports",
            "linux-base (>= 4), linux-binary-7.3.4+deb13-amd64 (= 7.3.4-1~bpo13+1), "
            "linux-modules-7.3.4+deb13-amd64 (= 7.3.4-1~bpo13+1)",
        ),
    ]  # fmt: skip
    return packages_of(bookworm, "bookworm") + packages_of(trixie, "trixie")


@pytest.mark.parametrize(
    ("request_", "own", "release"),
    [
        ("distribution", "bookworm", "6.1.0-56-amd64"),
        ("6.1", "bookworm", "6.1.0-56-amd64"),
        ("6.1.176", "bookworm", "6.1.0-50-amd64"),
        ("6.12", "bookworm", "6.12.117+deb12-amd64"),
        ("6.12", "trixie", "6.12.117+deb13-amd64"),
        ("6.12.95", "bookworm", "6.12.95+deb12-amd64"),
        ("6.1.0-55-amd64", "bookworm", "6.1.0-55-amd64"),
        ("7", None, "7.3.4+deb13-amd64"),
    ],
)
def test_a_request_means_one_kernel(request_: str, own: str | None, release: str) -> None:
    assert select(packages(), request_, own).release == release


@pytest.mark.parametrize("request_", ["6.13", "6.1.0-99-amd64", "distribution", "", "6.12-rc1", "latest"])
def test_a_request_that_nothing_fits_lists_what_there_is(request_: str) -> None:
    with pytest.raises(LabKernelError, match="no kernel fits") as caught:
        select(packages(), request_, "trixie")
    assert "6.1, 6.12, 7.3" in str(caught.value)


def test_a_kernel_that_is_split_is_fetched_whole() -> None:
    assert select(packages(), "7.3", None).parts == (
        "linux-image-7.3.4+deb13-amd64", "linux-binary-7.3.4+deb13-amd64", "linux-modules-7.3.4+deb13-amd64",
    )  # fmt: skip


def test_headers_count_only_in_the_same_version() -> None:
    known = {package.release: package for package in packages()}
    assert known["6.1.0-56-amd64"].has_headers
    assert not known["6.1.0-50-amd64"].has_headers
    assert upstream_version("6.12.117-1~deb12u1") == (6, 12, 117)


def test_an_old_list_serves_where_the_archive_cannot_be_reached(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_directory(cache)
    _write(cache_directory() / "catalogue.json", packages(), {})
    assert catalogue() == (packages(), {})
    monkeypatch.setenv("PATH", "/nonexistent")  # no apt-get
    found, failures = catalogue(refresh=True)
    assert found == packages()
    assert "no apt-get" in failures["trixie"]
