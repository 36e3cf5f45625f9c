"""The object store over the S3 API: AWS, or any server that speaks it (S3_ENDPOINT_URL).

The credentials need s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload, ListMultipartUploadParts on the
objects and s3:ListBucket, ListBucketMultipartUploads on the bucket: without ListBucket S3 answers 403 for objects
that do not exist. Browsers that upload need a CORS rule on the bucket that allows PUT and exposes ETag.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import boto3.session
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from popoff.adapters.storage import signing
from popoff.adapters.storage.interface import (
    ByteStream,
    InvalidPart,
    InvalidRange,
    ObjectInfo,
    ObjectNotFound,
    Part,
    SignedPut,
    StoreUnavailable,
    TooLargeObject,
    UploadNotFound,
    check_limits,
    check_part_number,
    check_parts,
)
from popoff.adapters.storage.keys import check as check_key
from popoff.adapters.storage.keys import check_prefix
from popoff.kernel import clock
from popoff.kernel.errors import DomainError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_SINGLE_PUT_BYTES = 64 * 1024**2  # larger files go up in parts, so that a broken connection repeats only one of them
_DELETE_BATCH = 1000  # what S3 takes in one request

_ERRORS: dict[str, type[DomainError]] = {
    "404": ObjectNotFound,  # the answer to HEAD has no body that could name the code
    "NoSuchKey": ObjectNotFound,
    "NoSuchUpload": UploadNotFound,
    "InvalidPart": InvalidPart,
    "InvalidPartOrder": InvalidPart,
    "EntityTooSmall": InvalidPart,
    "InvalidRange": InvalidRange,
    "416": InvalidRange,
}


@contextlib.contextmanager
def _s3_errors() -> Iterator[None]:
    """Errors of S3 as ours; what only an operator can mend (wrong credentials, no bucket) is StoreUnavailable."""
    try:
        yield
    except ClientError as error:
        raise _ERRORS.get(error.response["Error"].get("Code", ""), StoreUnavailable)() from error
    except (BotoCoreError, Boto3Error) as error:
        raise StoreUnavailable from error


class _Address(TypedDict):
    Bucket: str
    Key: str


class _Headers(TypedDict, total=False):
    ContentType: str
    CacheControl: str


class S3Store:
    """A `Store` in one bucket, which must exist. Clients are thread-safe but not for use across a fork."""

    def __init__(
        self,
        bucket: str,
        *,
        endpoint_url: str = "",
        region: str = "us-east-1",
        access_key_id: str = "",
        secret_access_key: str = "",
    ):
        self._bucket = bucket
        session = boto3.session.Session()
        # "virtual", not "auto": links of that lead to the global host, which redirects, and breaks, uploads to a bucket
        # of another region. Certificates of AWS do not cover names with dots.
        style: Literal["path", "virtual"] = "path" if endpoint_url or "." in bucket else "virtual"

        def client(connect_seconds: float, read_seconds: float, attempts: int) -> S3Client:
            return session.client(
                "s3",
                endpoint_url=endpoint_url or None,
                region_name=region,
                aws_access_key_id=access_key_id or None,
                aws_secret_access_key=secret_access_key or None,
                config=Config(
                    signature_version="s3v4",
                    connect_timeout=connect_seconds,
                    read_timeout=read_seconds,
                    retries={"mode": "standard", "total_max_attempts": attempts},
                    s3={"addressing_style": style},
                    # else checksum parameters get into signed links, which clients would have to send too
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )

        with _s3_errors():  # half of the credentials set
            self._client = client(3, 30, 3)
            self._probe = client(1, 2, 1)

    def _at(self, key: str) -> _Address:
        return {"Bucket": self._bucket, "Key": check_key(key)}

    # links

    def _presign(self, method: str, params: dict[str, Any], expires_seconds: int) -> str:
        with _s3_errors():
            return self._client.generate_presigned_url(method, Params=params, ExpiresIn=expires_seconds)

    def sign_put(
        self, key: str, *, content_type: str, max_bytes: int, exact_bytes: int | None = None, expires_seconds: int
    ) -> SignedPut:
        check_limits(max_bytes, exact_bytes, expires_seconds)
        params: dict[str, Any] = {**self._at(key), "ContentType": content_type}
        if exact_bytes is not None:
            params["ContentLength"] = exact_bytes
        return SignedPut(self._presign("put_object", params, expires_seconds), {"Content-Type": content_type})

    def sign_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        *,
        max_bytes: int,
        exact_bytes: int | None = None,
        expires_seconds: int,
    ) -> SignedPut:
        check_limits(max_bytes, exact_bytes, expires_seconds)
        check_part_number(number)
        params: dict[str, Any] = {**self._at(key), "UploadId": upload_id, "PartNumber": number}
        if exact_bytes is not None:
            params["ContentLength"] = exact_bytes
        return SignedPut(self._presign("upload_part", params, expires_seconds), {})

    def sign_get(self, key: str, *, expires_seconds: int, download_name: str | None = None) -> str:
        check_limits(0, None, expires_seconds)
        params: dict[str, Any] = dict(self._at(key))
        if download_name:
            params["ResponseContentDisposition"] = signing.content_disposition(download_name)
        return self._presign("get_object", params, expires_seconds)

    # objects

    def stat(self, key: str) -> ObjectInfo | None:
        try:
            with _s3_errors():
                head = self._client.head_object(Bucket=self._bucket, Key=check_key(key))
        except ObjectNotFound:
            return None
        return ObjectInfo(
            key, head["ContentLength"], head.get("ContentType"), head["ETag"].strip('"'), head["LastModified"]
        )

    def _stored(self, key: str) -> ObjectInfo:
        info = self.stat(key)
        if info is None:
            raise ObjectNotFound
        return info

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix, allow_empty=True)
        return self._list(prefix)

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with _s3_errors():
            for page in pages:
                for entry in page.get("Contents", ()):
                    etag = entry["ETag"].strip('"')
                    yield ObjectInfo(entry["Key"], entry["Size"], None, etag, entry["LastModified"])

    def _get(self, key: str, byte_range: str | None = None) -> tuple[ByteStream, ObjectInfo]:
        with _s3_errors():
            at = self._at(key)
            answer = self._client.get_object(**at, Range=byte_range) if byte_range else self._client.get_object(**at)
        body, size = answer["Body"], answer["ContentLength"]

        def read(count: int) -> bytes:
            with _s3_errors():
                return body.read(count)

        etag = answer["ETag"].strip('"')
        info = ObjectInfo(key, size, answer.get("ContentType"), etag, answer["LastModified"])
        return ByteStream(read, body.close, size), info

    def download(self, key: str, path: Path, max_bytes: int | None = None) -> ObjectInfo:
        stream, info = self._get(key)
        with stream:
            if max_bytes is not None and info.size > max_bytes:
                raise TooLargeObject
            try:
                with path.open("wb") as file:
                    file.writelines(stream)
            except BaseException:  # a job's time limit too
                path.unlink(missing_ok=True)
                raise
        return info

    def read(self, key: str, max_bytes: int) -> bytes:
        stream, info = self._get(key)
        with stream:
            if info.size > max_bytes:
                raise TooLargeObject
            return b"".join(stream)

    def open(self, key: str, start: int = 0, length: int | None = None) -> ByteStream:
        if not start and length is None:
            return self._get(key)[0]
        last = "" if length is None else str(start + length - 1)
        return self._get(key, f"bytes={start}-{last}")[0]

    def put_bytes(self, key: str, data: bytes, content_type: str, cache_control: str | None = None) -> ObjectInfo:
        return self._put(key, data, len(data), content_type, cache_control)

    def put_file(self, key: str, path: Path, content_type: str, cache_control: str | None = None) -> ObjectInfo:
        size = path.stat().st_size
        if size <= _SINGLE_PUT_BYTES:
            with path.open("rb") as file:
                return self._put(key, file, size, content_type, cache_control)
        with _s3_errors():
            self._client.upload_file(
                str(path),
                self._bucket,
                check_key(key),
                ExtraArgs=dict(_headers(content_type, cache_control)),
                Config=TransferConfig(multipart_chunksize=_SINGLE_PUT_BYTES // 4, max_concurrency=4),
            )
        return self._stored(key)

    def _put(self, key: str, body: Any, size: int, content_type: str, cache_control: str | None) -> ObjectInfo:
        headers = _headers(content_type, cache_control)
        with _s3_errors():
            answer = self._client.put_object(**self._at(key), Body=body, **headers)
        return ObjectInfo(key, size, content_type, answer["ETag"].strip('"'), clock.now())

    def copy(self, source: str, target: str) -> ObjectInfo:
        with _s3_errors():
            self._client.copy_object(
                Bucket=self._bucket,
                Key=check_key(target),
                CopySource={"Bucket": self._bucket, "Key": check_key(source)},
            )
        return self._stored(target)

    def delete(self, keys: Iterable[str]) -> None:
        self._delete(check_key(key) for key in keys)

    def delete_prefix(self, prefix: str) -> int:
        return self._delete(info.key for info in self._list(check_prefix(prefix)))

    def _delete(self, names: Iterator[str]) -> int:
        deleted = 0
        while batch := list(islice(names, _DELETE_BATCH)):
            with _s3_errors():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in batch], "Quiet": True}
                )
            if any(error.get("Code") != "NoSuchKey" for error in answer.get("Errors", ())):
                raise StoreUnavailable
            deleted += len(batch)
        return deleted

    def check(self) -> None:
        try:
            with _s3_errors():
                self._probe.head_bucket(Bucket=self._bucket)
        except ObjectNotFound as error:  # the bucket
            raise StoreUnavailable from error

    # multipart

    def start_multipart(self, key: str, content_type: str) -> str:
        with _s3_errors():
            return self._client.create_multipart_upload(**self._at(key), ContentType=content_type)["UploadId"]

    def parts(self, key: str, upload_id: str) -> Sequence[Part]:
        pages = self._client.get_paginator("list_parts").paginate(**self._at(key), UploadId=upload_id)
        with _s3_errors():
            return [
                Part(part["PartNumber"], part["ETag"].strip('"'), part["Size"])
                for page in pages
                for part in page.get("Parts", ())
            ]

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> ObjectInfo:
        check_parts(parts)
        wanted: list[CompletedPartTypeDef] = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        with _s3_errors():
            self._client.complete_multipart_upload(
                **self._at(key), UploadId=upload_id, MultipartUpload={"Parts": wanted}
            )
        return self._stored(key)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        with contextlib.suppress(UploadNotFound), _s3_errors():
            self._client.abort_multipart_upload(**self._at(key), UploadId=upload_id)

    def sweep_temporary(self, *, files_seconds: int = 3600, uploads_seconds: int = 7 * 24 * 3600) -> int:
        before = clock.now() - timedelta(seconds=uploads_seconds)
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket)
        removed = 0
        with _s3_errors():
            for upload in [upload for page in pages for upload in page.get("Uploads", ())]:
                if upload["Initiated"] < before:
                    self.abort_multipart(upload["Key"], upload["UploadId"])
                    removed += 1
        return removed


def _headers(content_type: str, cache_control: str | None) -> _Headers:
    return (
        {"ContentType": content_type, "CacheControl": cache_control} if cache_control else {"ContentType": content_type}
    )
