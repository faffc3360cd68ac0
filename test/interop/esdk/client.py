"""AWS's own Python client, driven by a list of jobs.

A JSON object on standard input, {"keys": {...}, "jobs": [...]}, makes a JSON list on standard output, one answer a job:
{"error": null, "sha256": ...} or {"error": "what went wrong"}. A job writes the message of a plain file into another
file, or reads a message and tells its plain bytes' SHA-256. `python client.py mpl` makes keyrings of the material
providers library, as version 4 of the client wants them; `python client.py legacy` master key providers, as version 3 does.
"""

import base64
import hashlib
import json
import os
import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy

# Suites from this one on commit to their key.
COMMITTING = 0x0478


class Legacy:
    """Master key providers."""

    def __init__(self, keys):
        self.keys = keys
        self.made = {}

    def provider(self, names):
        if tuple(names) not in self.made:
            first, *others = [self.single(self.keys[name]) for name in names]
            for other in others:
                first.add_master_key_provider(other)
            self.made[tuple(names)] = first
        return {"key_provider": self.made[tuple(names)]}

    def single(self, key):
        if key["type"] == "kms":
            # The client takes its endpoint from the environment, when it is made.
            os.environ["AWS_ENDPOINT_URL_KMS"] = key["endpoint"]
            return aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[key["arn"]])
        provider = raw_provider(key)
        provider.add_master_key(key["name"])
        return provider


def raw_provider(key):
    from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

    class Provider(RawMasterKeyProvider):
        provider_id = key["namespace"]

        def _get_raw_key(self, key_id):
            return wrapping_key(key)

    return Provider()


def wrapping_key(key):
    from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
    from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey

    if key["type"] == "raw-aes":
        material = base64.b64decode(key["key"])
        algorithm = WrappingAlgorithm[f"AES_{len(material) * 8}_GCM_IV12_TAG16_NO_PADDING"]
        return WrappingKey(algorithm, material, EncryptionKeyType.SYMMETRIC)
    padding = key["padding"].upper().replace("-", "_")
    algorithm = WrappingAlgorithm["RSA_PKCS1" if padding == "PKCS1" else f"RSA_{padding}_MGF1"]
    return WrappingKey(algorithm, key["privateKey"].encode(), EncryptionKeyType.PRIVATE)


class Mpl:
    """Keyrings of the material providers library."""

    def __init__(self, keys):
        from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders, models
        from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig

        self.keys = keys
        self.made = {}
        self.models = models
        self.providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())

    def provider(self, names):
        if tuple(names) not in self.made:
            first, *others = [self.single(self.keys[name]) for name in names]
            keyring = first
            if others:
                several = self.models.CreateMultiKeyringInput(generator=first, child_keyrings=others)
                keyring = self.providers.create_multi_keyring(input=several)
            self.made[tuple(names)] = keyring
        return {"keyring": self.made[tuple(names)]}

    def single(self, key):
        if key["type"] == "kms":
            import boto3

            client = boto3.client("kms", endpoint_url=key["endpoint"])
            request = self.models.CreateAwsKmsKeyringInput(kms_key_id=key["arn"], kms_client=client)
            return self.providers.create_aws_kms_keyring(input=request)
        names = {"key_namespace": key["namespace"], "key_name": key["name"]}
        if key["type"] == "raw-aes":
            material = base64.b64decode(key["key"])
            algorithm = getattr(self.models.AesWrappingAlg, f"ALG_AES{len(material) * 8}_GCM_IV12_TAG16")
            request = self.models.CreateRawAesKeyringInput(**names, wrapping_key=material, wrapping_alg=algorithm)
            return self.providers.create_raw_aes_keyring(input=request)
        padding = key["padding"].upper().replace("-", "_")
        scheme = getattr(self.models.PaddingScheme, "PKCS1" if padding == "PKCS1" else f"{padding}_MGF1")
        pems = {"public_key": key["publicKey"].encode(), "private_key": key["privateKey"].encode()}
        request = self.models.CreateRawRsaKeyringInput(**names, **pems, padding_scheme=scheme)
        return self.providers.create_raw_rsa_keyring(input=request)


def client_for(suite):
    old = suite < COMMITTING
    policy = CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT if old else CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


def write(job, keys):
    with open(job["plain"], "rb") as file:
        plain = file.read()
    sealed, _ = client_for(job["suite"]).encrypt(
        source=plain,
        algorithm=Algorithm.get_by_id(job["suite"]),
        frame_length=job["frameSize"],
        encryption_context=job["context"],
        **keys.provider(job["keyring"]),
    )
    with open(job["sealed"], "wb") as file:
        file.write(sealed)


def read(job, keys):
    with open(job["sealed"], "rb") as file:
        sealed = file.read()
    # Without commitment the policy must be the lax one; with it, the strict one.
    plain, header = client_for(job["suite"]).decrypt(source=sealed, **keys.provider(job["keyring"]))
    missing = {name: value for name, value in job["context"].items() if header.encryption_context.get(name) != value}
    if missing:
        raise ValueError(f"the context lacks {missing}")
    return hashlib.sha256(plain).hexdigest()


def answer(job, keys):
    try:
        sha256 = write(job, keys) if job["do"] == "write" else read(job, keys)
        return {"error": None, "sha256": sha256}
    except Exception as error:  # pylint: disable=broad-except
        return {"error": f"{type(error).__name__}: {error}"[:400], "sha256": None}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    kinds = {"mpl": Mpl, "legacy": Legacy}
    providers = kinds[sys.argv[1]](request["keys"])
    json.dump([answer(job, providers) for job in request["jobs"]], sys.stdout)
