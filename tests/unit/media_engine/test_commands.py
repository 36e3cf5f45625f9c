from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import pytest

from tests.unit.media_engine.facts import film, sound
from workers import ffmpeg
from workers.ffmpeg import Tool, ladder
from workers.loudness import Loudness
from workers.probe import Probe

TOOL = Tool("/opt/ffmpeg", 2)
SOURCE = Path("/private/source")
LOUD = Loudness(-20.0, -30.0, 5.0, -10.0)


def commands(probe: Probe) -> dict[str, list[str]]:
    renditions = ladder(probe)
    made = {
        "first": ffmpeg.first_command(TOOL, SOURCE, probe, renditions[-1]),
        "ladder": ffmpeg.ladder_command(TOOL, SOURCE, probe, renditions),
    }
    if probe.has_audio:
        made["measure"] = ffmpeg.measure_command(TOOL, SOURCE, probe)
        made["audio"] = ffmpeg.audio_command(TOOL, SOURCE, probe, LOUD)
    return made


PROBES = {
    "upright": film(),
    "silent": film(audio=None),
    "hdr": film(transfer="pq", matrix="bt2020", bit_depth=10),
    "transport stream": film(demuxer="mpegts", offset=Fraction(1, 10)),
    "interlaced": film(interlaced=True),
}


@pytest.mark.parametrize("name", PROBES)
def test_every_input_is_one_local_file_of_a_known_format(name: str) -> None:
    probe = PROBES[name]
    for command in commands(probe).values():
        places = [place for place, word in enumerate(command) if word == "-i"]
        assert places
        before = 0
        for place in places:
            options = command[before:place]
            given = dict(itertools.pairwise(options))
            assert given["-protocol_whitelist"] == "file"
            assert given["-format_whitelist"] == given["-f"]
            assert given["-f"] in (probe.demuxer, "mov")
            assert "h264" in given["-codec_whitelist"].split(",")
            assert command[place + 1] in (str(SOURCE), "audio.m4a")
            before = place + 1


@pytest.mark.parametrize("name", PROBES)
def test_only_the_chosen_tracks_go_in_and_nothing_private_comes_out(name: str) -> None:
    probe = PROBES[name]
    for kind, command in commands(probe).items():
        assert command[0] == TOOL.path
        assert "-nostdin" in command
        mapped = [after for word, after in itertools.pairwise(command) if word == "-map"]
        assert all(label.startswith("[") or label in ("1:a", "0:1") for label in mapped)
        if kind in ("first", "ladder", "audio"):
            assert command[command.index("-map_metadata") + 1] == "-1"
            assert command[command.index("-map_chapters") + 1] == "-1"


def test_all_renditions_have_the_same_frames_and_keyframes() -> None:
    probe = film(frame_rate=Fraction(179, 6))
    first, rest = ladder(probe)[-1], ladder(probe)[:-1]
    words = [
        *ffmpeg.first_command(TOOL, SOURCE, probe, first),
        *ffmpeg.ladder_command(TOOL, SOURCE, probe, rest),
    ]

    def values(option: str) -> set[str]:
        return {after for word, after in itertools.pairwise(words) if word == option}

    assert values("-force_key_frames") == {"expr:gte(t,n_forced*2)"}
    assert values("-frames:v") == {"298", "1"}  # 1: the stills
    assert len(values("-x264-params")) == 1
    assert "scenecut=0:open-gop=0" in values("-x264-params").pop()
    assert all("fps=179/6:start_time=0" in graph for graph in values("-filter_complex"))


def test_the_ladder_decodes_once_and_scales_from_the_largest() -> None:
    probe = film()
    command = ffmpeg.ladder_command(TOOL, SOURCE, probe, ladder(probe))
    graph = command[command.index("-filter_complex") + 1]
    assert command.count(str(SOURCE)) == 1
    assert "split=4[v1080][b720][b480][b360]" in graph
    assert [word for word in command if word.endswith("playlist.m3u8")] == [
        f"{name}/playlist.m3u8" for name in (1080, 720, 480, 360)
    ]


def test_hdr_is_mapped_to_8_bit_and_sdr_is_not_touched_by_it() -> None:
    for transfer, name in (("pq", "smpte2084"), ("hlg", "arib-std-b67")):
        graph = " ".join(commands(film(transfer=transfer))["ladder"])
        assert f"tin={name}" in graph
        assert "tonemap=" in graph
    assert "tonemap" not in " ".join(commands(film())["ladder"])


def test_a_silent_source_gets_no_sound() -> None:
    for command in (commands(film(audio=None))[kind] for kind in ("first", "ladder")):
        assert "-an" in command
        assert "audio.m4a" not in command
    with pytest.raises(ValueError, match="no sound"):
        ffmpeg.audio_command(TOOL, SOURCE, film(audio=None), None)


def test_the_last_picture_is_held_while_the_sound_goes_on() -> None:
    probe = film(audio=sound(duration=Fraction(13)))
    assert probe.duration_ms == 13_000
    assert "tpad=stop_mode=clone:stop_duration=3.000000" in " ".join(commands(probe)["ladder"])
    assert film(audio=sound(duration=Fraction(103, 10))).duration_ms == 10_000


def test_tracks_of_a_transport_stream_stay_where_they_belong() -> None:
    probe = film(demuxer="mpegts", offset=Fraction(1, 10), audio=sound(offset=Fraction(1, 5)))
    made = commands(probe)
    assert ",setpts=PTS-STARTPTS+0.100000/TB" in "," + " ".join(made["ladder"]).replace("]", ",")
    assert "asetpts=PTS-STARTPTS+0.200000/TB" in " ".join(made["audio"])
    assert "setpts" not in " ".join(commands(film())["ladder"])
