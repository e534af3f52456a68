"""The server's section: order of the sources, clear errors, and no open door without saying so."""

from __future__ import annotations

import pytest

from pointsman.api.config import ServerConfig, is_loopback, load_server
from pointsman.errors import ConfigError


def test_later_sources_win_and_each_value_knows_where_it_came_from() -> None:
    config, origins = load_server(
        {"port": 1, "max_body_bytes": 2048, "reasoning_field": "both"},
        {("server", "port"): "x.yaml:3", ("server", "reasoning_field"): "x.yaml:4", ("home",): "x.yaml:1"},
        {"port": 3},
        {"POINTSMAN_PORT": "2", "POINTSMAN_MAX_BODY_BYTES": "4096", "POINTSMAN_HOME": "/elsewhere"},
    )
    assert (config.port, config.max_body_bytes, config.reasoning_field) == (3, 4096, "both")
    assert origins == {
        ("server", "port"): "command line",
        ("server", "max_body_bytes"): "POINTSMAN_MAX_BODY_BYTES",
        ("server", "reasoning_field"): "x.yaml:4",
    }


def test_the_environment_alone_never_reaches_the_model_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `load_server` was not given does not count: the caller's `environ` is the environment."""
    monkeypatch.setenv("POINTSMAN_PORT", "1234")
    assert load_server({}, environ={})[0].port == ServerConfig.model_fields["port"].default


@pytest.mark.parametrize(
    ("section", "environ", "told"),
    [
        ({"port": "soon"}, {}, ("x.yaml:7", "server.port", "'soon'")),
        ({}, {"POINTSMAN_PORT": "99999"}, ("POINTSMAN_PORT", "server.port", "65535")),
        ({"prot": 1}, {}, ("server.prot", "there is no such setting", "port")),
        ({}, {"POINTSMAN_REASONING_FIELD": "thoughts"}, ("reasoning_content", "'both'")),
        ({"max_body_bytes": -1}, {}, ("server.max_body_bytes", "1024")),
    ],
)
def test_a_wrong_setting_is_named_with_its_place_and_what_is_allowed(
    section: dict[str, object], environ: dict[str, str], told: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_server(section, {("server", "port"): "x.yaml:7"}, environ=environ)
    assert all(part in str(raised.value) for part in told), str(raised.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "10.0.0.1"])
def test_listening_beyond_this_machine_needs_the_setting_that_the_error_names(host: str) -> None:
    with pytest.raises(ConfigError, match=r"allow_remote.*POINTSMAN_ALLOW_REMOTE"):
        load_server({"host": host}, environ={})
    assert load_server({"host": host}, environ={"POINTSMAN_ALLOW_REMOTE": "true"})[0].host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_this_machine_is_recognised(host: str) -> None:
    assert is_loopback(host)
