// The official Go client as a peer: reads one job a line as JSON, does it, and answers one line. Which servers it speaks
// to, and as whom, the AWS variables of the environment say; it is older than AWS_ENDPOINT_URL and is told here.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/aws/amazon-s3-encryption-client-go/v4/client"
	"github.com/aws/amazon-s3-encryption-client-go/v4/commitment"
	"github.com/aws/amazon-s3-encryption-client-go/v4/materials"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

type job struct {
	Op, Bucket, Key, File, Wrapping, Format, Policy string
	Legacy                                          bool
	Context                                         map[string]string
	Keys                                            struct{ Kms string }
}

type answer struct {
	Ok    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func main() {
	settings, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	plain := s3.NewFromConfig(settings, func(o *s3.Options) {
		o.UsePathStyle = true
		o.EndpointResolver = s3.EndpointResolverFromURL(os.Getenv("AWS_ENDPOINT_URL_S3"))
	})
	keys := kms.NewFromConfig(settings, func(o *kms.Options) {
		o.EndpointResolver = kms.EndpointResolverFromURL(os.Getenv("AWS_ENDPOINT_URL_KMS"))
	})
	jobs := bufio.NewScanner(os.Stdin)
	jobs.Buffer(nil, 1<<20)
	for jobs.Scan() {
		said := answer{Ok: true}
		if err := run(jobs.Bytes(), plain, keys); err != nil {
			said = answer{Error: err.Error()}
		}
		line, _ := json.Marshal(said)
		fmt.Println(string(line))
	}
}

func run(line []byte, plain *s3.Client, keys *kms.Client) error {
	var j job
	if err := json.Unmarshal(line, &j); err != nil {
		return err
	}
	if j.Wrapping != "kms" {
		return fmt.Errorf("the Go client wraps with KMS alone")
	}
	policies := map[string]commitment.CommitmentPolicy{
		"FORBID_ENCRYPT_ALLOW_DECRYPT":    commitment.FORBID_ENCRYPT_ALLOW_DECRYPT,
		"REQUIRE_ENCRYPT_ALLOW_DECRYPT":   commitment.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
		"REQUIRE_ENCRYPT_REQUIRE_DECRYPT": commitment.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
	}
	keyring := materials.NewKmsKeyring(keys, j.Keys.Kms, func(o *materials.KeyringOptions) {
		o.EnableLegacyWrappingAlgorithms = j.Legacy
	})
	manager, err := materials.NewCryptographicMaterialsManager(keyring)
	if err != nil {
		return err
	}
	sealer, err := client.New(plain, manager, func(o *client.EncryptionClientOptions) {
		o.CommitmentPolicy = policies[j.Policy]
		o.EnableLegacyUnauthenticatedModes = j.Legacy
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if len(j.Context) > 0 {
		ctx = context.WithValue(ctx, client.EncryptionContext, j.Context)
	}
	if j.Op == "put" {
		source, err := os.Open(j.File)
		if err != nil {
			return err
		}
		defer source.Close()
		_, err = sealer.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(j.Bucket), Key: aws.String(j.Key), Body: source})
		return err
	}
	got, err := sealer.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(j.Bucket), Key: aws.String(j.Key)})
	if err != nil {
		return err
	}
	defer got.Body.Close()
	target, err := os.Create(j.File)
	if err != nil {
		return err
	}
	defer target.Close()
	_, err = io.Copy(target, got.Body)
	return err
}
