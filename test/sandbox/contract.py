"""What S3 promises, a row each, asked with boto3 of the endpoint in AWS_ENDPOINT_URL.

Prints JSON: a list of {"row", "expected", "got"}. A row that fails with an S3 error got "CODE STATUS".
"""

import base64
import hashlib
import json
import os
import urllib.request
import zlib

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MIB = 1024 * 1024
PART = 5 * MIB
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
BUCKET = "contract"
# The bucket whose settings change.
SETTINGS = "contract-settings"
# The bucket that keeps versions.
VERSIONS = "contract-versions"
ROWS = []


def client(**more):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **more.pop("config", {}))
    return boto3.client("s3", config=config, **more)


s3 = client()


def row(name, expected):
    def add(function):
        ROWS.append((name, expected, function))
        return function

    return add


def code(call, *args, **more):
    try:
        call(*args, **more)
        return "ok"
    except ClientError as error:
        return f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}"


def put(key, body=b"hello", **more):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def get(key, **more):
    return s3.get_object(Bucket=BUCKET, Key=key, **more)


def head(key, **more):
    return s3.head_object(Bucket=BUCKET, Key=key, **more)


def create(key, **more):
    return s3.create_multipart_upload(Bucket=BUCKET, Key=key, **more)["UploadId"]


def send(key, upload, number, body, **more):
    """The part as CompleteMultipartUpload names it."""
    answer = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body, **more)
    checksums = {name: value for name, value in answer.items() if name.startswith("Checksum") and name != "ChecksumType"}
    return {"PartNumber": number, "ETag": answer["ETag"], **checksums}


def complete(key, upload, parts, **more):
    return s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
    )


def crc32(*chunks):
    value = 0
    for chunk in chunks:
        value = zlib.crc32(chunk, value)
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def block_sse_c(blocked):
    types = {"EncryptionType": ["SSE-C" if blocked else "NONE"]}
    default = {"SSEAlgorithm": "AES256"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BlockedEncryptionTypes": types}]}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=rules)


def put_policy(*statements):
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return s3.put_bucket_policy(Bucket=SETTINGS, Policy=json.dumps(document))


def deny(**more):
    arn = f"arn:aws:s3:::{SETTINGS}"
    return {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"], **more}


def put_there(key="k", **more):
    return s3.put_object(Bucket=SETTINGS, Key=key, Body=b"", **more)


BIG = [bytes([number]) * size for number, size in ((1, PART), (2, PART), (3, 7))]


# Buckets.


@row("a bucket's name follows the rules", "InvalidBucketName 400")
def _():
    # Sent by hand: boto3 would not let this name out.
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest("PUT", f"{ENDPOINT}/no", headers={"x-amz-content-sha256": hashlib.sha256().hexdigest()})
    credentials = boto3.Session().get_credentials()
    S3SigV4Auth(credentials, "s3", s3.meta.region_name).add_auth(request)
    prepared = request.prepare()
    wire = urllib.request.Request(prepared.url, method="PUT", headers=dict(prepared.headers.items()))
    try:
        urllib.request.urlopen(wire)
        return "ok"
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return f"{text.split('<Code>')[1].split('<')[0]} {error.code}"


@row("HeadBucket of no bucket", "404 404")
def _():
    return code(s3.head_bucket, Bucket="no-such-bucket")


@row("DeleteBucket of a bucket with objects", "BucketNotEmpty 409")
def _():
    s3.create_bucket(Bucket="contract-full")
    s3.put_object(Bucket="contract-full", Key="k", Body=b"")
    return code(s3.delete_bucket, Bucket="contract-full")


@row("another account's bucket", "AccessDenied 403")
def _():
    return code(s3.list_objects_v2, Bucket=BUCKET, ExpectedBucketOwner="111111111111")


# Objects.


@row("the ETag of a PutObject is the MD5", '"5d41402abc4b2a76b9719d911017c592"')
def _():
    return put("etag")["ETag"]


@row("PutObject answers with the checksum and its type", ["NhCmhg==", "FULL_OBJECT"])
def _():
    answer = put("checksum", ChecksumAlgorithm="CRC32")
    return [answer.get("ChecksumCRC32"), answer.get("ChecksumType")]


@row("an object without a checksum gets a CRC64NVME", "M3eFcAZSQlc=")
def _():
    client(config={"request_checksum_calculation": "when_required"}).put_object(Bucket=BUCKET, Key="bare", Body=b"hello")
    return head("bare", ChecksumMode="ENABLED").get("ChecksumCRC64NVME")


@row("a wrong checksum", "BadDigest 400")
def _():
    return code(put, "wrong", ChecksumCRC32="AAAAAA==")


@row("a malformed checksum", "InvalidRequest 400")
def _():
    return code(put, "wrong", ChecksumCRC32="AAAA")


@row("a wrong Content-MD5", "BadDigest 400")
def _():
    return code(put, "wrong", ContentMD5=base64.b64encode(hashlib.md5(b"other").digest()).decode())


@row("a malformed Content-MD5", "InvalidDigest 400")
def _():
    return code(put, "wrong", ContentMD5="AAAA")


@row("metadata above 2 KB", "MetadataTooLarge 400")
def _():
    return code(put, "wrong", Metadata={"k": "v" * 2048})


@row("a key above 1,024 bytes", "KeyTooLongError 400")
def _():
    return code(put, "k" * 1025)


@row("keys are taken literally", ["../x", "/y//z", "ü + %2F"])
def _():
    keys = ["../x", "/y//z", "ü + %2F"]
    for key in keys:
        put(f"literal/{key}", key.encode())
    return [get(f"literal/{key}")["Body"].read().decode() for key in keys]


@row("an object of no such key", "NoSuchKey 404")
def _():
    return code(get, "none")


@row("If-None-Match: * on what is there", "PreconditionFailed 412")
def _():
    put("there")
    return code(put, "there", IfNoneMatch="*")


@row("If-Match on what is not there", "NoSuchKey 404")
def _():
    return code(put, "not there", IfMatch='"x"')


@row("If-Match on what has changed", "PreconditionFailed 412")
def _():
    put("changed")
    return code(put, "changed", IfMatch='"x"')


@row("GetObject with If-Match on what has changed", "PreconditionFailed 412")
def _():
    put("changed")
    return code(get, "changed", IfMatch='"x"')


@row("GetObject with If-None-Match on what has not", "304 304")
def _():
    return code(get, "etag", IfNoneMatch='"5d41402abc4b2a76b9719d911017c592"')


@row("a range", ["bytes 1-3/5", "ell", 206])
def _():
    answer = get("etag", Range="bytes=1-3")
    return [answer["ContentRange"], answer["Body"].read().decode(), answer["ResponseMetadata"]["HTTPStatusCode"]]


@row("a range past the end", "InvalidRange 416")
def _():
    return code(get, "etag", Range="bytes=5-")


@row("a checksum is told of the whole, not of a range", [True, False])
def _():
    put("told", ChecksumAlgorithm="CRC32")
    whole = get("told", ChecksumMode="ENABLED")
    part = get("told", ChecksumMode="ENABLED", Range="bytes=0-1")
    return ["ChecksumCRC32" in whole, "ChecksumCRC32" in part]


@row("an archived object", "InvalidObjectState 403")
def _():
    put("cold", StorageClass="GLACIER")
    return code(get, "cold")


@row("an unknown storage class", "InvalidStorageClass 400")
def _():
    return code(put, "wrong", StorageClass="NONE")


@row("more than ten tags", "InvalidTag 400")
def _():
    return code(put, "wrong", Tagging="&".join(f"k{n}=v" for n in range(11)))


@row("SSE-C over plain HTTP", "InvalidRequest 400" if ENDPOINT.startswith("http:") else "ok")
def _():
    block_sse_c(False)
    return code(put, "customer", SSECustomerAlgorithm="AES256", SSECustomerKey=b"k" * 32)


@row("an SSE header on GetObject", "InvalidArgument 400")
def _():
    other = client()
    other.meta.events.register(
        "before-sign.s3.GetObject",
        lambda request, **_: request.headers.add_header("x-amz-server-side-encryption", "AES256"),
    )
    return code(other.get_object, Bucket=BUCKET, Key="etag")


@row("a copy onto itself without a change", "InvalidRequest 400")
def _():
    return code(s3.copy_object, Bucket=BUCKET, Key="etag", CopySource={"Bucket": BUCKET, "Key": "etag"})


@row("a copy keeps metadata and not the storage class", [{"a": "b"}, None])
def _():
    put("from", Metadata={"a": "b"}, StorageClass="STANDARD_IA")
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource={"Bucket": BUCKET, "Key": "from"})
    answer = head("to")
    return [answer["Metadata"], answer.get("StorageClass")]


# Listing.


@row("keys are listed in the order of their bytes", ["list/a", "list/a/b", "list/b", "list/\uffee", "list/\U0001f680"])
def _():
    for key in ("\U0001f680", "\uffee", "b", "a/b", "a"):
        put(f"list/{key}")
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")["Contents"]]


@row("keys and common prefixes share the pages", [["page/a", "page/b/"], ["page/c/", "page/d"]])
def _():
    for key in ("a", "b/1", "b/2", "c/1", "d"):
        put(f"page/{key}")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="page/", Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    return [
        sorted(
            [entry["Key"] for entry in page.get("Contents", [])]
            + [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        )
        for page in pages
    ]


# Multipart uploads.


@row("an upload's FULL_OBJECT CRC32 is that of the whole", [True, "FULL_OBJECT", True])
def _():
    upload = create("whole", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = [send("whole", upload, n + 1, body, ChecksumAlgorithm="CRC32") for n, body in enumerate(BIG)]
    whole = crc32(*BIG)
    complete("whole", upload, parts, ChecksumCRC32=whole, ChecksumType="FULL_OBJECT", MpuObjectSize=2 * PART + 7)
    answer = head("whole", ChecksumMode="ENABLED")
    md5s = b"".join(hashlib.md5(body).digest() for body in BIG)
    etag = f'"{hashlib.md5(md5s).hexdigest()}-3"'
    return [answer.get("ChecksumCRC32") == whole, answer.get("ChecksumType"), answer["ETag"] == etag]


def small_upload(key, **more):
    upload = create(key, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT", **more)
    return upload, send(key, upload, 1, b"hello", ChecksumAlgorithm="CRC32")


@row("a wrong checksum of the whole", "BadDigest 400")
def _():
    upload, part = small_upload("wrong")
    return code(complete, "wrong", upload, [part], ChecksumCRC32="AAAAAA==", ChecksumType="FULL_OBJECT")


@row("a wrong size of the whole", "InvalidRequest 400")
def _():
    upload, part = small_upload("wrong")
    return code(complete, "wrong", upload, [part], MpuObjectSize=6)


@row("a wrong checksum of a part, when it is named", "InvalidPart 400")
def _():
    upload, part = small_upload("wrong")
    return code(complete, "wrong", upload, [{**part, "ChecksumCRC32": "AAAAAA=="}])


@row("a wrong ETag of a part", "InvalidPart 400")
def _():
    upload, part = small_upload("wrong")
    return code(complete, "wrong", upload, [{**part, "ETag": '"x"'}])


@row("a part that was not sent", "InvalidPart 400")
def _():
    upload, part = small_upload("wrong")
    return code(complete, "wrong", upload, [part, {**part, "PartNumber": 2}])


@row("parts out of order", "InvalidPartOrder 400")
def _():
    upload, part = small_upload("wrong")
    second = send("wrong", upload, 2, b"hello", ChecksumAlgorithm="CRC32")
    return code(complete, "wrong", upload, [second, part])


@row("a part that is too small and not the last", "EntityTooSmall 400")
def _():
    upload, part = small_upload("wrong")
    second = send("wrong", upload, 2, b"hello", ChecksumAlgorithm="CRC32")
    return code(complete, "wrong", upload, [part, second])


@row("If-None-Match: * when an upload completes on what is there", "PreconditionFailed 412")
def _():
    upload, part = small_upload("there too")
    put("there too")
    return code(complete, "there too", upload, [part], IfNoneMatch="*")


@row("a part of another algorithm than the upload's", "InvalidRequest 400")
def _():
    upload = create("wrong", ChecksumAlgorithm="CRC32")
    return code(send, "wrong", upload, 1, b"hello", ChecksumAlgorithm="SHA256")


@row("an upload without an algorithm takes parts with any", "ok")
def _():
    upload = create("any")
    parts = [send("any", upload, 1, BIG[0], ChecksumAlgorithm="SHA256"), send("any", upload, 2, b"hello")]
    return code(complete, "any", upload, parts)


@row("a type its algorithm does not have", "InvalidRequest 400")
def _():
    return code(create, "wrong", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")


@row("a COMPOSITE checksum ends in the number of parts", ["COMPOSITE", True])
def _():
    upload = create("composite", ChecksumAlgorithm="SHA256")
    part = send("composite", upload, 1, b"hello", ChecksumAlgorithm="SHA256")
    complete("composite", upload, [part])
    answer = head("composite", ChecksumMode="ENABLED")
    inner = hashlib.sha256(hashlib.sha256(b"hello").digest()).digest()
    return [answer.get("ChecksumType"), answer.get("ChecksumSHA256") == base64.b64encode(inner).decode() + "-1"]


@row("a COMPOSITE upload wants every part's checksum", "InvalidRequest 400")
def _():
    upload = create("wrong", ChecksumAlgorithm="SHA256")
    part = send("wrong", upload, 1, b"hello", ChecksumAlgorithm="SHA256")
    return code(complete, "wrong", upload, [{"PartNumber": 1, "ETag": part["ETag"]}])


@row("parts are listed in pages", [[1, 2], [4]])
def _():
    upload = create("parts")
    for number in (4, 1, 2):
        send("parts", upload, number, b"hello")
    pages = s3.get_paginator("list_parts").paginate(
        Bucket=BUCKET, Key="parts", UploadId=upload, PaginationConfig={"PageSize": 2}
    )
    return [[part["PartNumber"] for part in page.get("Parts", [])] for page in pages]


@row("uploads are listed in pages, by key", [["up/a", "up/b"], ["up/c"]])
def _():
    for key in ("c", "a", "b"):
        create(f"up/{key}")
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=BUCKET, Prefix="up/", PaginationConfig={"PageSize": 2}
    )
    return [[upload["Key"] for upload in page.get("Uploads", [])] for page in pages]


@row("an aborted upload is gone", ["NoSuchUpload 404", "NoSuchUpload 404"])
def _():
    upload, part = small_upload("aborted")
    target = {"Bucket": BUCKET, "Key": "aborted", "UploadId": upload}
    s3.abort_multipart_upload(**target)
    return [code(s3.list_parts, **target), code(complete, "aborted", upload, [part])]


@row("a part number above 10,000", "InvalidArgument 400")
def _():
    return code(send, "wrong", create("wrong"), 10_001, b"hello")


@row("one part of an object", ["bytes 5242880-10485759/10485767", 3])
def _():
    answer = head("whole", PartNumber=2)
    return [answer.get("ContentRange"), answer.get("PartsCount")]


@row("GetObjectAttributes of a COMPOSITE upload", [1, [5]])
def _():
    parts = s3.get_object_attributes(Bucket=BUCKET, Key="composite", ObjectAttributes=["ObjectParts"])["ObjectParts"]
    return [parts.get("TotalPartsCount"), [part["Size"] for part in parts.get("Parts", [])]]


@row("boto3's own transfer, up and down", True)
def _():
    path = os.path.join(os.environ["CONTRACT_FOLDER"], "transfer")
    data = b"".join(BIG)
    with open(path, "wb") as file:
        file.write(data)
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_file(path, BUCKET, "transfer", Config=config)
    s3.download_file(BUCKET, "transfer", path + ".back", Config=config)
    with open(path + ".back", "rb") as file:
        return file.read() == data


# Settings of a bucket.


@row("a new bucket: SSE-S3, SSE-C blocked, no bucket key", ["AES256", ["SSE-C"], False])
def _():
    [rule] = s3.get_bucket_encryption(Bucket=SETTINGS)["ServerSideEncryptionConfiguration"]["Rules"]
    blocked = rule.get("BlockedEncryptionTypes", {}).get("EncryptionType")
    return [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], blocked, rule.get("BucketKeyEnabled")]


@row("a new bucket: ACLs disabled, public access blocked", ["BucketOwnerEnforced", True])
def _():
    [rule] = s3.get_bucket_ownership_controls(Bucket=SETTINGS)["OwnershipControls"]["Rules"]
    block = s3.get_public_access_block(Bucket=SETTINGS)["PublicAccessBlockConfiguration"]
    return [rule["ObjectOwnership"], all(block.values())]


@row("what was never set", ["NoSuchBucketPolicy 404", "NoSuchLifecycleConfiguration 404"])
def _():
    return [code(s3.get_bucket_policy, Bucket=SETTINGS), code(s3.get_bucket_lifecycle_configuration, Bucket=SETTINGS)]


@row("what was taken away", ["OwnershipControlsNotFoundError 404", "NoSuchPublicAccessBlockConfiguration 404"])
def _():
    s3.delete_bucket_ownership_controls(Bucket=SETTINGS)
    s3.delete_public_access_block(Bucket=SETTINGS)
    return [
        code(s3.get_bucket_ownership_controls, Bucket=SETTINGS),
        code(s3.get_public_access_block, Bucket=SETTINGS),
    ]


@row("default encryption, with a bucket key", ["aws:kms", "a-key", True])
def _():
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "a-key"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket=SETTINGS, ServerSideEncryptionConfiguration=rules)
    [rule] = s3.get_bucket_encryption(Bucket=SETTINGS)["ServerSideEncryptionConfiguration"]["Rules"]
    got = rule["ApplyServerSideEncryptionByDefault"]
    s3.delete_bucket_encryption(Bucket=SETTINGS)
    return [got["SSEAlgorithm"], got["KMSMasterKeyID"], rule["BucketKeyEnabled"]]


@row("a key for SSE-S3", "InvalidArgument 400")
def _():
    default = {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "a-key"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    return code(s3.put_bucket_encryption, Bucket=SETTINGS, ServerSideEncryptionConfiguration=rules)


@row("lifecycle rules come back as they were put", True)
def _():
    tag = {"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "b"}]}}
    rules = [
        {"ID": "abort", "Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
        {"ID": "expire", "Status": "Disabled", "Filter": tag, "Expiration": {"Days": 30}},
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=SETTINGS, LifecycleConfiguration={"Rules": rules})
    got = s3.get_bucket_lifecycle_configuration(Bucket=SETTINGS)["Rules"]
    return [{**rule, "Filter": rule["Filter"] or {}} for rule in got] == rules


@row("lifecycle rules of both kinds", "InvalidRequest 400")
def _():
    abort = {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    rules = [{**abort, "Prefix": ""}, {**abort, "Filter": {"Prefix": "x"}}]
    return code(s3.put_bucket_lifecycle_configuration, Bucket=SETTINGS, LifecycleConfiguration={"Rules": rules})


@row("policies that S3 does not take", ["MalformedPolicy 400"] * 6)
def _():
    malformed = [
        deny(Action="kms:Decrypt"),
        deny(Resource="arn:aws:s3:::another"),
        deny(Resource=f"arn:aws:s3:::{SETTINGS}", Action="s3:PutObject"),
        deny(Condition={"StringSame": {"s3:prefix": "x"}}),
        deny(Condition={"StringEquals": {"s3:no-such-key": "x"}}),
        deny(Principal={"AWS": "somebody"}),
    ]
    return [code(put_policy, statement) for statement in malformed]


@row("a policy that denies plain HTTP", ["AccessDenied 403"] * 2 if ENDPOINT.startswith("http:") else ["ok"] * 2)
def _():
    arn = f"arn:aws:s3:::{SETTINGS}/*"
    put_policy(deny(Resource=arn, Action="s3:*Object", Condition={"Bool": {"aws:SecureTransport": "false"}}))
    return [code(put_there), code(s3.delete_object, Bucket=SETTINGS, Key="k")]


@row("a policy that demands an encryption", ["ok", "AccessDenied 403", "ok"])
def _():
    name = "s3:x-amz-server-side-encryption"
    condition = {"Null": {name: "false"}, "StringNotEquals": {name: "AES256"}}
    put_policy(deny(Action="s3:PutObject", Resource=f"arn:aws:s3:::{SETTINGS}/*", Condition=condition))
    return [code(put_there, **more) for more in ({}, {"ServerSideEncryption": "aws:kms"}, {"ServerSideEncryption": "AES256"})]


@row("a policy that demands a tag is asked of every part", ["AccessDenied 403", "ok", "AccessDenied 403"])
def _():
    condition = {"StringNotEquals": {"s3:RequestObjectTag/sealed": "yes"}}
    put_policy(deny(Action="s3:PutObject", Resource=f"arn:aws:s3:::{SETTINGS}/*", Condition=condition))
    upload = s3.create_multipart_upload(Bucket=SETTINGS, Key="k", Tagging="sealed=yes")["UploadId"]
    part = {"Bucket": SETTINGS, "Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    return [code(put_there), code(put_there, Tagging="sealed=yes"), code(s3.upload_part, **part)]


@row("a policy that is taken away denies nothing", ["AccessDenied 403", "ok"])
def _():
    put_policy(deny(Action="s3:PutObject", Resource=f"arn:aws:s3:::{SETTINGS}/*"))
    denied = code(put_there)
    s3.delete_bucket_policy(Bucket=SETTINGS)
    return [denied, code(put_there)]


# Versions.


def versioning(status):
    s3.put_bucket_versioning(Bucket=VERSIONS, VersioningConfiguration={"Status": status})


def put_version(key, body):
    return s3.put_object(Bucket=VERSIONS, Key=key, Body=body).get("VersionId")


def versions(**more):
    """Keys, ids, whether the latest, and sizes: those of delete markers are None."""
    page = s3.list_object_versions(Bucket=VERSIONS, **more)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [[v["Key"], v["VersionId"], v["IsLatest"], v.get("Size")] for v in found], page


@row("versions are listed by key, the newest first, and markers beside them", True)
def _():
    unversioned = put_version("a", b"1")
    versioning("Enabled")
    ids = [put_version("a", b"22"), put_version("b", b"333")]
    marker = s3.delete_object(Bucket=VERSIONS, Key="b")
    got, page = versions()
    expected = [
        ["a", ids[0], True, 2],
        ["a", "null", False, 1],
        ["b", ids[1], False, 3],
        ["b", marker["VersionId"], True, None],
    ]
    return unversioned is None and page["IsTruncated"] is False and got == expected


@row("versions in pages of one are the same versions", True)
def _():
    whole, _ = versions()
    paginator = s3.get_paginator("list_object_versions")
    pages = list(paginator.paginate(Bucket=VERSIONS, PaginationConfig={"PageSize": 1}))
    ids = [v["VersionId"] for page in pages for v in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]
    return len(pages) == 4 and sorted(ids) == sorted(version for _, version, _, _ in whole)


@row("a version-id marker wants its key", "InvalidArgument 400")
def _():
    return code(s3.list_object_versions, Bucket=VERSIONS, VersionIdMarker="x")


@row("versions under a delimiter are rolled up", [["dir/"], ["a", "a", "b", "b"]])
def _():
    for key in ("dir/1", "dir/1", "dir/2"):
        put_version(key, b"")
    got, page = versions(Delimiter="/")
    return [[common["Prefix"] for common in page["CommonPrefixes"]], sorted(key for key, _, _, _ in got)]


@row("suspended, a key has one null version beside those that came before", ["null", [5, 2]])
def _():
    versioning("Suspended")
    put_version("a", b"4444")
    return [put_version("a", b"55555"), [size for _, _, _, size in versions(Prefix="a")[0]]]


@row("suspended, what is deleted has a null marker; without it the version before is the latest", ["null", None, "22"])
def _():
    marker = s3.delete_object(Bucket=VERSIONS, Key="a")["VersionId"]
    [latest] = [size for _, _, is_latest, size in versions(Prefix="a")[0] if is_latest]
    s3.delete_object(Bucket=VERSIONS, Key="a", VersionId=marker)
    return [marker, latest, s3.get_object(Bucket=VERSIONS, Key="a")["Body"].read().decode()]


# Archives.


@row("what is archived is restored for some days, and then again", ["InvalidObjectState 403", 202, True, "hello", 200])
def _():
    put("glacier", StorageClass="GLACIER")
    request = {"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}
    restore = lambda: s3.restore_object(Bucket=BUCKET, Key="glacier", RestoreRequest=request)
    before, first = code(get, "glacier"), restore()["ResponseMetadata"]["HTTPStatusCode"]
    told = 'expiry-date="' in head("glacier")["Restore"]
    body = get("glacier")["Body"].read().decode()
    return [before, first, told, body, restore()["ResponseMetadata"]["HTTPStatusCode"]]


@row("what is not archived is not restored, nor the deep archive in minutes", ["InvalidObjectState 403", "InvalidArgument 400"])
def _():
    put("warm")
    put("deep", StorageClass="DEEP_ARCHIVE")
    fast = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    return [code(s3.restore_object, Bucket=BUCKET, Key=key, RestoreRequest=fast) for key in ("warm", "deep")]


# Signatures.


@row("a wrong secret", "SignatureDoesNotMatch 403")
def _():
    return code(client(aws_secret_access_key="no", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"]).list_buckets)


@row("an unknown access key", "InvalidAccessKeyId 403")
def _():
    return code(client(aws_secret_access_key="no", aws_access_key_id="AKIANOBODY").list_buckets)


@row("a presigned URL", "hello")
def _():
    url = client(config={"signature_version": "s3v4"}).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "etag"})
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


@row("a presigned URL for another key", 403)
def _():
    url = client(config={"signature_version": "s3v4"}).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "etag"})
    try:
        urllib.request.urlopen(url.replace("/etag?", "/checksum?"))
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def main():
    s3.create_bucket(Bucket=BUCKET)
    s3.create_bucket(Bucket=SETTINGS)
    s3.create_bucket(Bucket=VERSIONS)
    results = []
    for name, expected, run in ROWS:
        try:
            got = run()
        except ClientError as error:
            got = f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}"
        except (BotoCoreError, KeyError, OSError) as error:
            got = f"{type(error).__name__}: {error}".replace(ENDPOINT, "ENDPOINT")
        results.append({"row": name, "expected": expected, "got": got})
    print(json.dumps(results))


main()
