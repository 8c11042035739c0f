"""The front page."""

from __future__ import annotations

import pytest

from web import page


@pytest.mark.parametrize("host", ["localhost:8080", "jobs.example", "[::1]:80", "10.0.0.1"])
def test_examples_name_the_host_that_was_asked(host):
    assert f"curl -i http://{host}/job" in page.front(page.base_url("http", host, "http://me"))


@pytest.mark.parametrize("host", ["a;rm", "$(rm)", "a b", "<script>", "", "a:b", "a'b", "a\n"])
def test_a_host_that_a_shell_or_a_browser_would_run_is_not_shown(host):
    assert page.base_url("http", host, "http://me:1/") == "http://me:1"


def test_it_runs_nothing_and_loads_nothing():
    text = page.front("http://me")
    assert "<script" not in text
    assert "src=" not in text
    assert page.front("<b>").count("<b>") == 0
