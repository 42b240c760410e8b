"""The API describes itself, and asks nobody else."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dermaxai.api.errors import STATUS
from dermaxai.viewer import case_to_page
from tests.api.whole_server import talk, whole_server
from tests.sample_case import make_case


@pytest.fixture
def browser(tmp_path):
    return talk(whole_server(tmp_path))


@pytest.fixture
def document(browser):
    return browser.get("/openapi.json").json()


def test_no_address_outside(document):
    """Addresses in examples are of this machine."""
    found = re.findall(r"https?://[^\s\"'\\)]+", json.dumps(document))
    assert {address for address in found if "127.0.0.1" not in address} == set()


def test_who_may_come_in_is_told(document):
    assert set(document["components"]["securitySchemes"]) == {"token", "visit"}
    assert document["paths"]["/healthz"]["get"]["security"] == [{}]
    assert {"token": []} in document["paths"]["/api/cases"]["get"]["security"]


def test_every_reference_leads_somewhere(document):
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"], name


def test_errors_have_no_other_shape(document):
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_tag_is_described(document):
    described = {tag["name"] for tag in document["tags"]}
    used = {tag for methods in document["paths"].values() for one in methods.values() for tag in one["tags"]}
    assert used <= described


def test_the_page_is_whole_and_asks_nobody(browser):
    answered = browser.get("/docs")
    assert answered.headers["content-type"] == "text/html; charset=utf-8"
    for address in re.findall(r'(?:src|href)="([^"]+)"', answered.text):
        assert address.startswith(("/", "#", "data:,")), address
        if address.startswith("/web/"):
            assert browser.get(address).status_code == 200
    anchors = set(re.findall(r'id="([^"]+)"', answered.text))
    assert {link for link in re.findall(r'href="#([^"]+)"', answered.text)} <= anchors
    assert "<script>" not in answered.text
    assert "style=" not in answered.text
    assert "не медицинское изделие" in answered.text


def test_the_page_is_not_sent_twice(browser):
    mark = browser.get("/docs").headers["ETag"]
    assert browser.get("/docs", headers={"If-None-Match": mark}).status_code == 304


WRITTEN = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_written_page_names_every_call(document):
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in WRITTEN, f"{method} {path}"


def test_the_written_page_names_every_status():
    told = {int(status) for status in re.findall(r"^\| (\d{3}) \|", WRITTEN, re.MULTILINE)}
    assert told == set(STATUS.values())


def test_cells_are_decoded_as_the_page_says():
    """The code of docs/api.md, on a map of a case."""
    code = re.findall(r"```python\n(import base64.*?)```", WRITTEN, re.DOTALL)[0]
    names = {}
    exec(code, names)
    case = make_case()
    page = case_to_page(case)
    for told, heat in zip(page["maps"], case.maps, strict=True):
        found = np.array(names["cells_of"](told, page["places"][told["place"]]))
        assert np.abs(found - heat.values).max() <= told["peak"] / 4000 + 1e-12
