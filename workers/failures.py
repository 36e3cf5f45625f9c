from popoff.media.failures import FailureCode, MediaFailure

__all__ = ["FailureCode", "MediaFailure"]
