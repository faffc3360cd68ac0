import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.logging.LogManager;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.internal.InstructionFileConfig;
import software.amazon.encryption.s3.materials.AesKeyring;
import software.amazon.encryption.s3.materials.Keyring;
import software.amazon.encryption.s3.materials.KmsKeyring;
import software.amazon.encryption.s3.materials.PartialRsaKeyPair;
import software.amazon.encryption.s3.materials.RsaKeyring;

/**
 * The official client as a peer: reads one job a line as JSON, does it, and answers one line. Which servers it speaks
 * to, and as whom, the AWS variables of the environment say.
 */
public final class Peer {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** What makes a client another one. */
    private static final String[] OPTIONS = {
        "format", "policy", "wrapping", "keys", "legacy", "delayed", "multipart", "instructionFile",
    };
    private static final Map<String, S3EncryptionClient> CLIENTS = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        LogManager.getLogManager().reset();
        String bundle = System.getenv("AWS_CA_BUNDLE");
        if (bundle != null) trust(Path.of(bundle));
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = jobs.readLine()) != null; ) {
            Map<String, Object> answer = new HashMap<>();
            try {
                answer.put("sha256", run(JSON.readTree(line)));
                answer.put("ok", true);
            } catch (Exception thrown) {
                answer.put("ok", false);
                answer.put("error", describe(thrown));
            }
            System.out.println(JSON.writeValueAsString(answer));
        }
    }

    /** Other SDKs trust this variable's authority by themselves; Java knows only key stores. */
    private static void trust(Path bundle) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream authority = Files.newInputStream(bundle)) {
            trusted.setCertificateEntry("bundle", CertificateFactory.getInstance("X.509").generateCertificate(authority));
        }
        Path store = Files.createTempFile("sealift-interop-", ".store");
        store.toFile().deleteOnExit();
        try (OutputStream out = Files.newOutputStream(store)) {
            trusted.store(out, "no secret".toCharArray());
        }
        System.setProperty("javax.net.ssl.trustStore", store.toString());
        System.setProperty("javax.net.ssl.trustStorePassword", "no secret");
    }

    /** Returns the SHA-256 of what it got; null where it put. */
    private static String run(JsonNode job) throws Exception {
        Path file = Path.of(job.get("file").asText());
        Map<String, String> context = JSON.convertValue(job.get("context"), JSON.getTypeFactory()
                .constructMapType(HashMap.class, String.class, String.class));
        S3EncryptionClient client = clientOf(job);
        if (job.get("op").asText().equals("put")) {
            client.putObject(PutObjectRequest.builder()
                    .bucket(job.get("bucket").asText())
                    .key(job.get("key").asText())
                    .overrideConfiguration(S3EncryptionClient.withAdditionalConfiguration(context))
                    .build(), RequestBody.fromFile(file));
            return null;
        }
        GetObjectRequest.Builder get = GetObjectRequest.builder()
                .bucket(job.get("bucket").asText())
                .key(job.get("key").asText())
                .overrideConfiguration(S3EncryptionClient.withAdditionalConfiguration(context));
        if (job.has("range")) get.range(job.get("range").asText());
        MessageDigest hash = MessageDigest.getInstance("SHA-256");
        try (InputStream plain = new DigestInputStream(client.getObject(get.build()), hash);
                OutputStream out = Files.newOutputStream(file)) {
            plain.transferTo(out);
        }
        return String.format("%064x", new BigInteger(1, hash.digest()));
    }

    /** The official client takes two seconds to close, and closes what it wraps: each stays for the next job like this one. */
    private static S3EncryptionClient clientOf(JsonNode job) throws Exception {
        StringBuilder kind = new StringBuilder();
        for (String option : OPTIONS) kind.append(job.get(option)).append(' ');
        S3EncryptionClient client = CLIENTS.get(kind.toString());
        if (client == null) CLIENTS.put(kind.toString(), client = newClient(job));
        return client;
    }

    private static S3EncryptionClient newClient(JsonNode job) throws Exception {
        // Each wraps one of its own: the official client leaves a connection open for every instruction file it reads.
        S3Client plain = S3Client.builder().forcePathStyle(true).build();
        S3EncryptionClient.Builder builder = Flavor.builder(job.get("format").asText(), job.get("policy").asText())
                .wrappedClient(plain)
                .keyring(keyringOf(job))
                .enableLegacyUnauthenticatedModes(job.path("legacy").asBoolean())
                .enableDelayedAuthenticationMode(job.path("delayed").asBoolean())
                .enableMultipartPutObject(job.path("multipart").asBoolean())
                .instructionFileConfig(InstructionFileConfig.builder()
                        .instructionFileClient(plain)
                        .enableInstructionFilePutObject(job.path("instructionFile").asBoolean())
                        .build());
        return builder.build();
    }

    private static Keyring keyringOf(JsonNode job) throws Exception {
        boolean legacy = job.path("legacy").asBoolean();
        JsonNode keys = job.get("keys");
        switch (job.get("wrapping").asText()) {
            case "kms":
                return KmsKeyring.builder().kmsClient(KmsClient.create()).wrappingKeyId(keys.get("kms").asText())
                        .enableLegacyWrappingAlgorithms(legacy).build();
            case "aes":
                return AesKeyring.builder().wrappingKey(new SecretKeySpec(bytesOf(keys, "aes"), "AES"))
                        .enableLegacyWrappingAlgorithms(legacy).build();
            case "rsa":
                KeyFactory factory = KeyFactory.getInstance("RSA");
                KeyPair pair = new KeyPair(factory.generatePublic(new X509EncodedKeySpec(bytesOf(keys, "rsaPublic"))),
                        factory.generatePrivate(new PKCS8EncodedKeySpec(bytesOf(keys, "rsaPrivate"))));
                return RsaKeyring.builder().wrappingKeyPair(new PartialRsaKeyPair(pair))
                        .enableLegacyWrappingAlgorithms(legacy).build();
            default:
                throw new IllegalArgumentException("No such wrapping: " + job.get("wrapping"));
        }
    }

    private static byte[] bytesOf(JsonNode keys, String name) {
        return Base64.getDecoder().decode(keys.get(name).asText());
    }

    private static String describe(Throwable thrown) {
        StringBuilder text = new StringBuilder(String.valueOf(thrown));
        for (Throwable cause = thrown.getCause(); cause != null; cause = cause.getCause()) text.append(" <- ").append(cause);
        return text.toString();
    }
}
