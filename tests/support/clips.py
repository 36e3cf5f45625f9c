"""Short videos of every awkward kind, made with ffmpeg, and the real clips that lie beside the project.

`corpus(folder)` makes all of them once in a folder; `CLIPS` names each with the function that makes it.
`PLAYABLE` names those that must reach a player, `REFUSED` those that must not, with the code they fail with.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

_SINE = "sine=frequency=440:sample_rate=48000:duration={}"
_QUICK = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")

REFUSED = {
    "audio_only.m4a": "no_video",
    "audio_with_cover.m4a": "no_video",
    "truncated.mp4": "truncated",
    "truncated_tail.mp4": "truncated",
    "empty.mp4": "empty_file",
    "text_as_mp4.mp4": "not_media",
    "playlist_etc_passwd.mp4": "not_media",
    "playlist_http.mp4": "not_media",
    "concat_script_as_mp4.mp4": "not_media",
    "ffmetadata_as_mp4.mp4": "not_media",
    "sdp_as_mp4.mp4": "not_media",
    "noise_after_ftyp.mp4": "truncated",
}
PLAYABLE = (
    "vertical_1080p60.mp4",
    "rotated.mp4",
    "vfr.mp4",
    "hdr10.mp4",
    "mono_8khz.mp4",
    "one_frame.mp4",
    "odd_size.mp4",
    "anamorphic.mp4",
    "tiny.mp4",
)


def shared_media() -> Path:
    """The folder of real clips: POPOFF_SHARED, or `../shared/media` beside the project. Skips when neither is there."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("POPOFF_SHARED") or root.parent / "shared" / "media")
    if not folder.is_dir():
        pytest.skip(f"the real clips are not here: {folder} (set POPOFF_SHARED to their folder)")
    return folder


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg; its words are in the error when it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-v", "error", "-y"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ffmpeg {' '.join(map(str, arguments))}\n{done.stderr}")


def trimmed(source: Path, target: Path, seconds: float) -> Path:
    """The beginning of a clip, copied without encoding."""
    ffmpeg("-i", source, "-t", str(seconds), "-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", target)
    return target


def picture(size: str, rate: str, seconds: float, *filters: str) -> tuple[str, ...]:
    """Input arguments for a moving test picture."""
    return "-f", "lavfi", "-i", ",".join((f"testsrc2=size={size}:rate={rate}:duration={seconds}", *filters))


def sound(seconds: float) -> tuple[str, ...]:
    """Input arguments for a tone."""
    return "-f", "lavfi", "-i", _SINE.format(seconds)


def _vertical_1080p60(target: Path) -> None:
    ffmpeg(*picture("1080x1920", "60", 2.5), *sound(2.5), *_QUICK, "-c:a", "aac", target)


def _rotated(target: Path) -> None:
    """A phone held upright: stored 640x360, shown 360x640."""
    plain = target.with_name("plain_" + target.name)
    ffmpeg(*picture("640x360", "30", 2), *sound(2), *_QUICK, "-c:a", "aac", plain)
    ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", target)
    plain.unlink()


def _vfr(target: Path) -> None:
    """30 frames a second with gaps, as phones record in poor light."""
    gaps = "select='not(between(n,20,27)+between(n,40,41)+eq(n,50))'"
    ffmpeg(*picture("640x360", "30", 3, gaps), *sound(3), *_QUICK, "-c:a", "aac", "-fps_mode", "vfr", target)


def _hdr10(target: Path) -> None:
    tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    ffmpeg(
        *picture("1280x720", "30", 1, "format=yuv420p10le", tags),
        *("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=none"),
        *("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc", target),
    )


def _mono_8khz(target: Path) -> None:
    ffmpeg(*picture("640x480", "25", 2), *sound(2), *_QUICK, "-c:a", "aac", "-ac", "1", "-ar", "8000", target)


def _one_frame(target: Path) -> None:
    ffmpeg(*picture("640x480", "30", 1), "-frames:v", "1", *_QUICK, target)


def _odd_size(target: Path) -> None:
    """639x361 at 179/6 frames a second."""
    lossless = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p")
    ffmpeg(*picture("639x361", "179/6", 2.2), *lossless, target)


def _anamorphic(target: Path) -> None:
    """Stored 720x576, shown 1024x576."""
    ffmpeg(*picture("720x576", "25", 1, "setsar=64/45"), *_QUICK, target)


def _tiny(target: Path) -> None:
    ffmpeg(*picture("120x90", "15", 1), *sound(1), *_QUICK, "-c:a", "aac", target)


def _audio_only(target: Path) -> None:
    ffmpeg(*sound(1), "-c:a", "aac", target)


def _audio_with_cover(target: Path) -> None:
    cover = ("-map", "0:a", "-map", "1:v", "-c:v", "mjpeg", "-frames:v", "1", "-disposition:v:0", "attached_pic")
    ffmpeg(*sound(1), *picture("320x320", "1", 1), *cover, "-c:a", "aac", target)


def _whole(target: Path, *options: str) -> bytes:
    """The bytes of an ordinary clip of 3 s."""
    ffmpeg(*picture("640x360", "30", 3), *sound(3), *_QUICK, "-c:a", "aac", *options, target)
    return target.read_bytes()


def _truncated(target: Path) -> None:
    """Cut off before the index, which is at the end."""
    whole = _whole(target)
    target.write_bytes(whole[: len(whole) // 2])


def _truncated_tail(target: Path) -> None:
    """The index is at the start, and promises twice what is there."""
    whole = _whole(target, "-movflags", "+faststart")
    target.write_bytes(whole[: len(whole) // 2])


def _text(text: str) -> Callable[[Path], None]:
    def make(target: Path) -> None:
        target.write_text(text)

    return make


def _noise_after_ftyp(target: Path) -> None:
    target.write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + bytes(range(256)) * 64)


def playlist_of(*entries: str) -> str:
    """A media playlist with these entries of 2 s each."""
    body = "".join(f"#EXTINF:2.0,\n{entry}\n" for entry in entries)
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n{body}#EXT-X-ENDLIST\n"


CLIPS: dict[str, Callable[[Path], None]] = {
    "vertical_1080p60.mp4": _vertical_1080p60,
    "rotated.mp4": _rotated,
    "vfr.mp4": _vfr,
    "hdr10.mp4": _hdr10,
    "mono_8khz.mp4": _mono_8khz,
    "one_frame.mp4": _one_frame,
    "odd_size.mp4": _odd_size,
    "anamorphic.mp4": _anamorphic,
    "tiny.mp4": _tiny,
    "audio_only.m4a": _audio_only,
    "audio_with_cover.m4a": _audio_with_cover,
    "truncated.mp4": _truncated,
    "truncated_tail.mp4": _truncated_tail,
    "empty.mp4": _text(""),
    "text_as_mp4.mp4": _text("This is not a film.\n" * 50),
    "playlist_etc_passwd.mp4": _text(playlist_of("file:///etc/passwd")),
    "playlist_http.mp4": _text(playlist_of("http://127.0.0.1/")),
    "concat_script_as_mp4.mp4": _text("ffconcat version 1.0\nfile '/etc/passwd'\n"),
    "ffmetadata_as_mp4.mp4": _text(";FFMETADATA1\ntitle=no film\n"),
    "sdp_as_mp4.mp4": _text("v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    "noise_after_ftyp.mp4": _noise_after_ftyp,
}


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="popoff-clips-"))


def clip(name: str) -> Path:
    """The clip of this name, made on first use and kept until the end of the test process."""
    target = _folder() / name
    if not target.exists():
        CLIPS[name](target)
    return target


def hls_package(folder: Path, seconds: float = 5, source: Path | None = None) -> Path:
    """A package as the phone makes it: `playlist.m3u8` and `segment_000.ts`... of 2 s. Answers the playlist."""
    folder.mkdir(parents=True, exist_ok=True)
    given = ("-i", str(source)) if source else (*picture("640x360", "30", seconds), *sound(seconds))
    ffmpeg(
        *given,
        *(*_QUICK, "-g", "60", "-c:a", "aac", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"),
        *("-hls_segment_filename", folder / "segment_%03d.ts", folder / "playlist.m3u8"),
    )
    return folder / "playlist.m3u8"


def hostile_package(folder: Path, *entries: str) -> Path:
    """A package whose playlist names these, beside one real segment. Answers the playlist."""
    playlist = hls_package(folder, seconds=1)
    playlist.write_text(playlist_of(*entries))
    return playlist


if __name__ == "__main__":
    for made in CLIPS:
        print(clip(made), file=sys.stdout)
