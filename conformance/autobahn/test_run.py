"""The gate itself: what must not pass for a pass."""

import pytest
import run

OK = {"behavior": "OK", "behaviorClose": "OK"}


def report():
    index = {case: dict(OK) for case in run.CASES}
    for case in run.INFORMATIONAL:
        index[case] = {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}
    return index


def test_all_cases_are_expected_and_some_of_each_group_always():
    assert len(run.CASES) == len(set(run.CASES)) == 517
    assert len(run.SAMPLE) == 301 + 48
    for cases in (run.CASES, run.SAMPLE):
        assert {case.split(".")[0] for case in cases} == set(run.GROUPS)
    assert {case.rpartition(".")[0] for case in run.CASES} == {case.rpartition(".")[0] for case in run.SAMPLE}


def test_a_full_report_passes():
    assert run.verdict(run.CASES, report()) == []


def test_an_empty_report_fails_every_case():
    assert len(run.verdict(run.CASES, {})) == 517


def test_a_short_report_fails():
    index = report()
    del index["9.8.6"]
    assert run.verdict(run.CASES, index) == [("9.8.6", "is missing from the report")]


def test_a_case_nobody_asked_for_fails():
    index = report()
    index["12.6.1"] = OK
    assert run.verdict(run.CASES, index) == [("12.6.1", "was not asked for")]


@pytest.mark.parametrize("found", ["NON-STRICT", "FAILED", "UNIMPLEMENTED", "INFORMATIONAL", "WRONG CODE", "UNCLEAN"])
@pytest.mark.parametrize("key", ["behavior", "behaviorClose"])
def test_only_ok_passes(key, found):
    index = report()
    index["3.2"][key] = found
    assert [case for case, _ in run.verdict(run.CASES, index)] == ["3.2"]


def test_the_informational_cases_may_not_fail_either():
    index = report()
    index["7.1.6"]["behavior"] = "FAILED"
    assert [case for case, _ in run.verdict(run.CASES, index)] == ["7.1.6"]
