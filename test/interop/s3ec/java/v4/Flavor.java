import software.amazon.encryption.s3.CommitmentPolicy;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.algorithms.AlgorithmSuite;

/** What is particular to version 4 of the client: it writes V3 objects, and V2 ones where commitment is forbidden. */
final class Flavor {
    static S3EncryptionClient.Builder builder(String format, String policy) {
        boolean committing = format.equals("v3");
        return S3EncryptionClient.builderV4()
                .commitmentPolicy(CommitmentPolicy.valueOf(policy))
                .encryptionAlgorithm(committing
                        ? AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
                        : AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF);
    }
}
