"""Everything from a source to its renditions, with the real ffmpeg."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import config
from popoff.media.failures import MediaFailure
from tests.support import clips
from tests.unit.media_engine.facts import film
from workers import encode as encode_module
from workers import ffmpeg, sandbox
from workers.encode import Encoded, FileSource, PackageSource, Source, Step, check_alike, check_whole, encode
from workers.hls import MadeRendition
from workers.loudness import TARGET_LUFS, parse_summary
from workers.probe import probe

SHARED = (
    "asl-bird.mkv",
    "asl-eat.mkv",
    "asl-hungry.mkv",
    "asl-milk.mkv",
    "asl-thanks.mkv",
    "asl-yes.mkv",
    "bottle-detection.mp4",
    "car-detection.mp4",
    "big-buck-bunny-480p-30s.mp4",
)
TALLEST = "vertical_1080p60.mp4"  # has a test of its own
# Only the shape of these matters here; one long clip is encoded whole.
TRIMMED = {"bottle-detection.mp4": 4.0, "big-buck-bunny-480p-30s.mp4": 4.0}


@dataclass
class Played:
    """What a player finds in one rendition; times in seconds."""

    times: list[Fraction]
    keyframes: list[Fraction]
    decoded: int
    has_audio: bool
    size: tuple[int, int]
    colour: tuple[int, int, int]
    pixel_format: str
    duration: Fraction


def played(made: MadeRendition) -> Played:
    path = str(made.folder / "playlist.m3u8")
    with av.open(path) as container:
        stream = container.streams.video[0]
        has_audio = bool(container.streams.audio)
        assert stream.time_base is not None
        packets = [packet for packet in container.demux(stream) if packet.size]
        times = sorted(packet.pts * stream.time_base for packet in packets if packet.pts is not None)
        keyframes = [
            packet.pts * stream.time_base for packet in packets if packet.is_keyframe and packet.pts is not None
        ]
        last = (packets[-1].duration or 0) * stream.time_base
    with av.open(path) as container:
        frames = list(container.decode(video=0))
    first = frames[0]
    return Played(
        times=times,
        keyframes=keyframes,
        decoded=len(frames),
        has_audio=has_audio,
        size=(first.width, first.height),
        colour=(int(first.color_primaries), int(first.color_trc), int(first.colorspace)),
        pixel_format=first.format.name,
        duration=times[-1] - times[0] + last,
    )


def check(encoded: Encoded) -> list[Played]:
    """What must hold for every result."""
    assert encoded.complete
    found = [played(made) for made in encoded.renditions]
    frame = 1 / encoded.renditions[0].frame_rate
    for made, seen in zip(encoded.renditions, found, strict=True):
        assert seen.decoded == len(seen.times) >= 1
        assert seen.size == (made.width, made.height)
        assert seen.pixel_format == "yuv420p"
        assert seen.colour == (1, 1, 1)  # BT.709 throughout
        assert seen.has_audio == encoded.probe.has_audio
        assert abs(seen.duration - encoded.probe.shown_duration) <= frame
        assert abs(seen.duration - made.duration) <= Fraction(1, 100_000)  # playlists have six decimals
        assert seen.keyframes == found[0].keyframes
        assert seen.times == found[0].times
        steps = [after - before for before, after in zip(seen.keyframes, seen.keyframes[1:], strict=False)]
        assert all(2 - frame <= step <= 2 + frame for step in steps)
        assert made.segments == len(seen.keyframes)
        assert f"{made.name}/playlist.m3u8" in encoded.master_playlist
    for picture in (encoded.thumbnail, encoded.strip):
        assert picture.read_bytes().startswith(b"\xff\xd8\xff")
    strip = picture_of(encoded.strip)
    assert strip.shape[1] == 160 * encoded.strip_frames
    assert min(picture_of(encoded.thumbnail).shape[:2]) <= 720
    return found


def picture_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def package(playlist: Path) -> PackageSource:
    return PackageSource(playlist, {path.name: path for path in playlist.parent.glob("*.ts")})


def failure(source: Source, folder: Path) -> str:
    with pytest.raises(MediaFailure) as caught:
        encode(source, folder)
    return caught.value.code


def loudness_of(made: MadeRendition) -> float:
    command = [encode_module.find_tool().path, "-hide_banner", "-nostats", "-i", made.folder / "playlist.m3u8", "-vn"]
    measured = sandbox.run(
        [*map(str, command), "-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"],
        folder=made.folder,
        limits=encode_module.limits_for(film()),
    )
    summary = parse_summary(measured.stderr)
    assert summary is not None
    assert summary.true_peak <= -0.5
    return summary.integrated


# --- what must play -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in clips.PLAYABLE if name != TALLEST])
def test_awkward_sources_play(name: str, tmp_path: Path) -> None:
    check(encode(FileSource(clips.clip(name)), tmp_path))


@pytest.mark.parametrize("name", SHARED)
def test_real_clips_play(name: str, tmp_path: Path) -> None:
    source = clips.shared_media() / name
    if name in TRIMMED:
        source = clips.trimmed(source, tmp_path / name, TRIMMED[name])
    folder = tmp_path / "work"
    folder.mkdir()
    check(encode(FileSource(source), folder))


def test_the_tallest_source_gets_the_whole_ladder_and_people_can_watch_early(tmp_path: Path) -> None:
    """Also: progress never goes back, and what is announced as playable is."""
    heard: list[tuple[Step, float]] = []
    early: list[Encoded] = []

    def playable(so_far: Encoded) -> None:
        assert played(so_far.renditions[0]).decoded == 150
        assert so_far.thumbnail.exists()
        assert not so_far.complete
        early.append(so_far)

    encoded = encode(
        FileSource(clips.clip(TALLEST)),
        tmp_path,
        on_progress=lambda step, done: heard.append((step, done)),
        on_playable=playable,
    )
    check(encoded)
    assert [(r.name, r.width, r.height) for r in encoded.renditions] == [
        ("1080", 1080, 1920),
        ("720", 720, 1280),
        ("480", 480, 854),
        ("360", 360, 640),
    ]
    assert [made.name for made in early[0].renditions] == ["480"]
    assert early[0].renditions[0] in encoded.renditions
    assert [done for _, done in heard] == sorted(done for _, done in heard)
    assert heard[0] == (Step.PROBING, 0.0)
    assert heard[-1] == (Step.LADDER, 1.0)
    bandwidths = [int(value) for value in re.findall(r"[:,]BANDWIDTH=(\d+)", encoded.master_playlist)]
    assert bandwidths == sorted(bandwidths, reverse=True)


def test_a_rotated_film_is_upright_for_every_player(tmp_path: Path) -> None:
    """The red bar of the test picture is at the left; turned by 90 degrees counter-clockwise it is at the bottom."""
    encoded = encode(FileSource(clips.clip("rotated.mp4")), tmp_path)
    picture = picture_of(encoded.thumbnail)
    assert picture.shape[:2] == (640, 360)
    red, green, blue = picture[620, 300].astype(int)
    assert red > 180
    assert max(green, blue) < 90
    with av.open(str(encoded.renditions[0].folder / "playlist.m3u8")) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_high_dynamic_range_becomes_ordinary_and_keeps_its_colours(tmp_path: Path) -> None:
    encoded = encode(FileSource(clips.clip("hdr10.mp4")), tmp_path)
    with av.open(str(encoded.renditions[0].folder / "playlist.m3u8")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    red, green = picture[400, 60], picture[400, 300]
    assert red[0] > 150 > 90 > red[1]
    assert green[1] > 150 > 90 > green[0]


def test_no_position_and_no_title_of_the_source_comes_out(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    told = ("-metadata", "location=+48.8577+002.2950/", "-metadata", "title=secret place")
    clips.ffmpeg("-i", clips.clip("rotated.mp4"), "-c", "copy", *told, source)
    assert b"secret place" in source.read_bytes()
    folder = tmp_path / "work"
    folder.mkdir()
    encode(FileSource(source), folder)
    for path in folder.rglob("*.*"):
        assert b"secret place" not in path.read_bytes()
        assert b"+48.8577" not in path.read_bytes()


# --- sound ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", ["-5dB", "20dB"])
def test_quiet_and_loud_sound_comes_out_equally_loud(gain: str, tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    noise = ("-f", "lavfi", "-i", "anoisesrc=color=pink:duration=4:seed=1:amplitude=0.3")
    level = ("-af", f"volume={gain}", "-c:a", "aac", "-b:a", "256k")
    clips.ffmpeg(*clips.picture("320x240", "15", 4), *noise, "-c:v", "libx264", *level, source)
    folder = tmp_path / "work"
    folder.mkdir()
    encoded = encode(FileSource(source), folder)
    assert encoded.loudness is not None
    assert abs(encoded.loudness.integrated - TARGET_LUFS) > 3
    assert abs(loudness_of(encoded.renditions[0]) - TARGET_LUFS) <= 1


def beep_and_flash(target: Path) -> Path:
    """White pictures and a tone, both from second 1 to second 1.5, in 3 s of black and silence."""
    flash = "color=black:size=320x240:rate=30:duration=3,drawbox=color=white:t=fill:enable='between(t,1,1.49)'"
    beep = "sine=frequency=1000:sample_rate=48000:duration=3,volume=0:enable='not(between(t,1,1.5))'"
    clips.ffmpeg("-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep, "-c:v", "libx264", "-c:a", "aac", target)
    return target


def onsets(made: MadeRendition) -> tuple[float, float]:
    """Seconds from the first picture shown at which it gets bright, and at which it gets loud."""
    path = str(made.folder / "playlist.m3u8")
    with av.open(path) as container:
        frames = [(frame.time, frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    with av.open(path) as container:
        sounds = [(frame.time, frame.sample_rate, np.abs(frame.to_ndarray()[0])) for frame in container.decode(audio=0)]
    begin = frames[0][0] or 0.0
    bright = next(time or 0.0 for time, light in frames if light > 128)
    loud = next((time or 0.0) + np.argmax(heard > 0.05) / rate for time, rate, heard in sounds if (heard > 0.05).any())
    return bright - begin, float(loud) - begin


def test_sound_and_picture_stay_together(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    encoded = encode(FileSource(beep_and_flash(tmp_path / "source.mp4")), folder)
    bright, loud = onsets(encoded.renditions[0])
    assert abs(bright - 1) <= 1 / 30
    assert abs(loud - bright) <= 0.03


def test_sound_and_picture_of_a_package_stay_together(tmp_path: Path) -> None:
    """Transport streams do not begin at zero, and their tracks not together: here the sound comes 0.4 s late."""
    source = tmp_path / "source.mp4"
    beep_and_flash(tmp_path / "plain.mp4")
    late = ("-itsoffset", "0.4", "-i", tmp_path / "plain.mp4", "-map", "0:v", "-map", "1:a", "-c", "copy")
    clips.ffmpeg("-i", tmp_path / "plain.mp4", *late, "-f", "mpegts", source)
    folder = tmp_path / "work"
    folder.mkdir()
    bright, loud = onsets(encode(FileSource(source), folder).renditions[0])
    assert abs(bright - 1) <= 2 / 30
    assert abs(loud - bright - 0.4) <= 0.05


def test_the_last_picture_is_held_while_the_sound_goes_on(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    clips.ffmpeg(*clips.picture("320x240", "30", 1), *clips.sound(3), "-c:v", "libx264", "-c:a", "aac", source)
    folder = tmp_path / "work"
    folder.mkdir()
    encoded = encode(FileSource(source), folder)
    check(encoded)
    assert abs(encoded.duration_ms - 3000) <= 40


def test_a_silent_track_stays_silent(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    silence = ("-f", "lavfi", "-i", "anullsrc=sample_rate=44100:duration=1")
    clips.ffmpeg(*clips.picture("320x240", "30", 1), *silence, "-c:v", "libx264", "-c:a", "aac", source)
    folder = tmp_path / "work"
    folder.mkdir()
    check(encode(FileSource(source), folder))


def broken_packets(source: Path, target: Path, kind: str, keep: int) -> Path:
    """A copy in which all packets of sound or pictures but the first `keep` hold noise."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        stream = container.streams.audio[0] if kind == "audio" else container.streams.video[0]
        places = [(packet.pos, packet.size) for packet in container.demux(stream) if packet.pos and packet.size]
    for position, size in places[keep:]:
        data[position : position + size] = b"\xff" * size
    target.write_bytes(data)
    return target


def test_a_film_whose_sound_is_broken_plays_without_it(tmp_path: Path) -> None:
    source = broken_packets(clips.clip("mono_8khz.mp4"), tmp_path / "source.mp4", "audio", keep=0)
    folder = tmp_path / "work"
    folder.mkdir()
    encoded = encode(FileSource(source), folder)
    check(encoded)
    assert not encoded.probe.has_audio


def test_a_film_whose_pictures_are_broken_is_refused(tmp_path: Path) -> None:
    source = broken_packets(clips.clip("mono_8khz.mp4"), tmp_path / "source.mp4", "video", keep=1)
    folder = tmp_path / "work"
    folder.mkdir()
    assert failure(FileSource(source), folder) == "truncated"


# --- pictures -------------------------------------------------------------------------------------------------------


def test_the_thumbnail_is_not_the_black_beginning(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    encoded = encode(FileSource(beep_and_flash(tmp_path / "source.mp4")), folder)
    assert picture_of(encoded.thumbnail).mean() > 200
    assert encoded.strip_frames == 10


def test_a_film_that_is_black_throughout_has_a_thumbnail_all_the_same(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    clips.ffmpeg("-f", "lavfi", "-i", "color=black:size=320x240:rate=30:duration=1", "-c:v", "libx264", source)
    folder = tmp_path / "work"
    folder.mkdir()
    encoded = encode(FileSource(source), folder)
    assert picture_of(encoded.thumbnail).shape == (240, 320, 3)


# --- packages -------------------------------------------------------------------------------------------------------


def test_a_package_of_the_phone_plays(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    encoded = encode(package(clips.hls_package(tmp_path / "package")), folder)
    check(encoded)
    assert abs(encoded.duration_ms - 5000) <= 40
    assert encoded.renditions[0].segments == 3


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("file:///etc/passwd", "unsafe_playlist"),
        ("http://127.0.0.1/", "unsafe_playlist"),
        ("segment_000.ts\n#EXTINF:2,\n/etc/passwd", "unsafe_playlist"),
        ("segment_009.ts", "missing_segment"),
    ],
)
def test_a_package_that_names_something_else_is_refused(entry: str, code: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    assert failure(package(clips.hostile_package(tmp_path / "package", entry)), folder) == code
    assert not any(path.is_dir() for path in folder.iterdir())


def test_a_segment_that_is_a_playlist_is_never_followed(tmp_path: Path) -> None:
    playlist = clips.hls_package(tmp_path / "package", seconds=1)
    (playlist.parent / "segment_000.ts").write_text(clips.playlist_of("file:///etc/passwd"))
    folder = tmp_path / "work"
    folder.mkdir()
    assert failure(package(playlist), folder) == "not_media"


# --- failures -------------------------------------------------------------------------------------------------------


def test_a_refused_file_makes_nothing(tmp_path: Path) -> None:
    assert failure(FileSource(clips.clip("audio_only.m4a")), tmp_path) == "no_video"
    assert list(tmp_path.iterdir()) == []


def test_a_callback_that_raises_stops_everything(tmp_path: Path) -> None:
    class Deleted(Exception):
        pass

    def deleted(step: Step, done: float) -> None:
        if step is Step.FIRST:
            raise Deleted

    with pytest.raises(Deleted):
        encode(FileSource(clips.clip("one_frame.mp4")), tmp_path, on_progress=deleted)
    assert not (tmp_path / "480" / "playlist.m3u8").exists()


def test_an_ffmpeg_that_fails_is_our_fault(tmp_path: Path) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    broken.chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    with config.override(ffmpeg_path=str(broken)):
        assert failure(FileSource(clips.clip("one_frame.mp4")), folder) == "encode_failed"


def test_an_ffmpeg_that_makes_nothing_is_noticed(tmp_path: Path) -> None:
    idle = tmp_path / "ffmpeg"
    idle.write_text("#!/bin/sh\nexit 0\n")
    idle.chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    with config.override(ffmpeg_path=str(idle)):
        assert failure(FileSource(clips.clip("one_frame.mp4")), folder) == "encode_failed"


def test_renditions_of_other_lengths_are_no_ladder(tmp_path: Path) -> None:
    encoded = encode(FileSource(clips.clip("one_frame.mp4")), tmp_path)
    short: Sequence[MadeRendition] = encoded.renditions
    long = replace(short[0], duration=short[0].duration + Fraction(2, 30))
    check_alike(short)
    with pytest.raises(MediaFailure, match="encode_failed"):
        check_alike([long, *short[1:]])
    check_whole(short[0], encoded.probe)
    with pytest.raises(MediaFailure, match="encode_failed"):
        check_whole(short[0], replace(encoded.probe, duration=Fraction(3)))


def test_ffmpeg_itself_opens_nothing_but_the_given_file(tmp_path: Path) -> None:
    """Were the probe fooled into calling a playlist a film, the options alone would still hold."""
    tool = encode_module.find_tool()
    hostile = clips.clip("playlist_etc_passwd.mp4")
    for demuxer in ("mov", "hls"):
        found = replace(probe(clips.clip("one_frame.mp4")), demuxer=demuxer)
        command = ffmpeg.first_command(tool, hostile, found, ffmpeg.ladder(found)[0])
        done = sandbox.run(command, folder=tmp_path, limits=encode_module.limits_for(found))
        assert done.returncode != 0
        assert "root:" not in done.stderr
        assert not (tmp_path / "thumbnail.jpg").exists()
