"""The page and its files, as they are sent."""

from __future__ import annotations

import re

import pytest

from web import files, page


@pytest.mark.parametrize("host", ["localhost:8080", "jobs.example", "[::1]:80", "10.0.0.1"])
def test_examples_name_the_host_that_was_asked(host):
    assert page.base_url("http", host, "http://me") == f"http://{host}"


@pytest.mark.parametrize("host", ["a;rm", "$(rm)", "a b", "<script>", "", "a:b", "a'b", "a\n"])
def test_a_host_that_a_shell_or_a_browser_would_run_is_not_shown(host):
    assert page.base_url("http", host, "http://me:1/") == "http://me:1"


def test_the_page_has_no_script_or_style_of_its_own():
    text = files.PAGE.body.decode()
    assert re.findall(r"<script[^>]*>(?!</script>)", text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []


def test_all_that_the_page_loads_is_there():
    wanted = set(re.findall(r'(?:src|href)="/assets/([^"]+)"', files.PAGE.body.decode()))
    scripts = [file.body.decode() for name, file in files.FILES.items() if name.endswith(".js")]
    for text in scripts:
        wanted |= set(re.findall(r'^import .* from "\./([^"]+)";$', text, re.M))
    assert wanted <= set(files.FILES)
    assert len(wanted) > 15
    unused = {name for name in files.FILES if name.endswith(".js")} - wanted
    assert unused == set()


def test_no_file_can_make_html_of_text():
    for name, file in files.FILES.items():
        text = file.body.decode(errors="replace")
        made = re.findall(
            r"(?:inner|outer)HTML\s*[+]?=[^=]|insertAdjacentHTML|document\.write", text
        )
        assert made == [], name
