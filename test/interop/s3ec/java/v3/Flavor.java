import software.amazon.encryption.s3.S3EncryptionClient;

/** What is particular to version 3 of the client: it knows V2 objects and older ones, and no commitment. */
final class Flavor {
    static S3EncryptionClient.Builder builder(String format, String policy) {
        if (!format.equals("v2")) throw new IllegalArgumentException("Version 3 writes V2 objects only");
        return S3EncryptionClient.builder();
    }
}
