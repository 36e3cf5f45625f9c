"""Why a video could not be made playable: stable codes for programs, one sentence each for people."""

from __future__ import annotations

from enum import StrEnum


class FailureCode(StrEnum):
    """The value is what is stored and answered; `sentence` is what the owner of the post reads."""

    EMPTY_FILE = "empty_file"
    FILE_TOO_LARGE = "file_too_large"
    NOT_MEDIA = "not_media"
    NO_VIDEO = "no_video"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    TRUNCATED = "truncated"
    UNSUPPORTED_CODEC = "unsupported_codec"
    UNSAFE_PLAYLIST = "unsafe_playlist"
    MISSING_SEGMENT = "missing_segment"
    RESOURCE_LIMIT = "resource_limit"
    TIMEOUT = "timeout"
    ENCODE_FAILED = "encode_failed"
    LOST_SOURCE = "lost_source"
    TOO_MANY_STREAMS = "too_many_streams"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]

    @property
    def worth_retrying(self) -> bool:
        """Whether the same file may go through at another time: the fault may be ours or the machine's."""
        return self in (FailureCode.TIMEOUT, FailureCode.ENCODE_FAILED, FailureCode.LOST_SOURCE)


_SENTENCES = {
    FailureCode.EMPTY_FILE: "The file is empty. Please upload it again.",
    FailureCode.FILE_TOO_LARGE: "The file is larger than what can be posted here.",
    FailureCode.NOT_MEDIA: "This file is not a video that we can read.",
    FailureCode.NO_VIDEO: "There is no picture in this file, only sound or other data.",
    FailureCode.TOO_LONG: "The video is longer than what can be posted here.",
    FailureCode.TOO_LARGE: "The picture of this video has more pixels than what can be posted here.",
    FailureCode.TRUNCATED: "A part of the video is missing. The upload was probably cut off; please upload it again.",
    FailureCode.UNSUPPORTED_CODEC: "The video is stored in a format that we cannot read.",
    FailureCode.UNSAFE_PLAYLIST: "The playlist of this upload names something that is not part of it.",
    FailureCode.MISSING_SEGMENT: "A segment of the video was not uploaded. Please upload it again.",
    FailureCode.RESOURCE_LIMIT: "This video needs more time or memory than one video may take.",
    FailureCode.TIMEOUT: "The video took too long to process.",
    FailureCode.ENCODE_FAILED: "The video could not be processed. We will look into it.",
    FailureCode.LOST_SOURCE: "The uploaded file cannot be found any more. Please upload it again.",
    FailureCode.TOO_MANY_STREAMS: "The file has more tracks than one video may have.",
}


class MediaFailure(Exception):
    """A video cannot be processed. `detail` is for the log only: it may hold paths and words of ffmpeg."""

    def __init__(self, code: FailureCode, detail: str = ""):
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}" if detail else str(code))


def sentence(code: str) -> str:
    """What the owner reads for a stored code."""
    return FailureCode(code).sentence
