/* SPDX-License-Identifier: MIT */
/* Single certificates and keys, by OpenSSL. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/text.h"
#include "mgmtd/options.h"
#include "mgmtd/pki_cert.h"

#define SERIAL_BYTES 16
#define CLOCK_SKEW   300 /* seconds that a certificate is valid before it was made */

EVP_PKEY *cert_make_key(void)
{
    return EVP_EC_gen("P-256");
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool done;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] &= 0x7f; /* a positive number */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool done;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    done = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool add_names(X509 *certificate, X509 *issuer, const char *const *names)
{
    struct text list = {0};
    bool done;

    for (; names && *names; names++)
        text_printf(&list, "%s%s:%s", list.size ? "," : "", is_address(*names) ? "IP" : "DNS",
                    *names);
    done = list.size == 0 ||
           (!list.failed && add_extension(certificate, issuer, NID_subject_alt_name, list.bytes));
    text_free(&list);
    return done;
}

static bool add_extensions(X509 *certificate, X509 *issuer, const struct cert_policy *policy)
{
    static const char *const constraints[] = {[CERT_AUTHORITY] = "critical,CA:TRUE",
                                              [CERT_SERVER] = "critical,CA:FALSE",
                                              [CERT_CLIENT] = "critical,CA:FALSE"};
    static const char *const usages[] = {[CERT_AUTHORITY] = "critical,keyCertSign,cRLSign",
                                         [CERT_SERVER] = "critical,digitalSignature",
                                         [CERT_CLIENT] = "critical,digitalSignature"};
    const char *extended = policy->use == CERT_SERVER ? "serverAuth" : "clientAuth";

    return add_extension(certificate, issuer, NID_basic_constraints, constraints[policy->use]) &&
           add_extension(certificate, issuer, NID_key_usage, usages[policy->use]) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid") &&
           (policy->use == CERT_AUTHORITY ||
            add_extension(certificate, issuer, NID_ext_key_usage, extended)) &&
           add_names(certificate, issuer, policy->names);
}

static bool fill(X509 *certificate, EVP_PKEY *key, const struct cert_policy *policy, X509 *issuer)
{
    X509_NAME *subject = X509_get_subject_name(certificate);

    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -CLOCK_SKEW) &&
           X509_time_adj_ex(X509_getm_notAfter(certificate), (int)(policy->seconds / 86400),
                            (long)(policy->seconds % 86400), NULL) &&
           X509_set_pubkey(certificate, key) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                                      (const unsigned char *)"Bulkhead", -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                      (const unsigned char *)policy->common_name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
           add_extensions(certificate, issuer, policy);
}

X509 *cert_sign(EVP_PKEY *key, const struct cert_policy *policy, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *certificate = X509_new();

    if (!certificate || !key)
        return NULL;
    if (fill(certificate, key, policy, issuer ? issuer : certificate) &&
        X509_sign(certificate, issuer_key ? issuer_key : key, EVP_sha256()) > 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static char *take_bio(BIO *bio)
{
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    char *copy = size > 0 ? strndup(bytes, (size_t)size) : NULL;

    BIO_free(bio);
    return copy;
}

char *cert_to_pem(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio)
        PEM_write_bio_X509(bio, certificate);
    return bio ? take_bio(bio) : NULL;
}

char *cert_key_to_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem());

    if (bio)
        PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    return bio ? take_bio(bio) : NULL;
}

void cert_fingerprint(X509 *certificate, char fingerprint[SHA256_TEXT])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    X509_digest(certificate, EVP_sha256(), hash, &size);
    hex_format(hash, SHA256_SIZE, fingerprint);
}

static int64_t to_milliseconds(const ASN1_TIME *time)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;

    ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    return ((int64_t)days * 86400 + seconds) * 1000;
}

int64_t cert_not_after(X509 *certificate)
{
    return to_milliseconds(X509_get0_notAfter(certificate));
}

int64_t cert_not_before(X509 *certificate)
{
    return to_milliseconds(X509_get0_notBefore(certificate));
}

static bool write_all(FILE *file, EVP_PKEY *key, X509 *const *certificates, size_t count)
{
    bool done = !key || PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;

    for (size_t i = 0; done && i < count; i++)
        done = PEM_write_X509(file, certificates[i]) == 1;
    return done && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

bool cert_write_file(const char *path, EVP_PKEY *key, X509 *const *certificates, size_t count)
{
    char part[PATH_SIZE + 8];
    FILE *file;
    bool done;
    int fd;

    snprintf(part, sizeof(part), "%s.new", path);
    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file)
        return false;
    done = write_all(file, key, certificates, count);
    done = fclose(file) == 0 && done && rename(part, path) == 0;
    if (!done)
        unlink(part);
    return done;
}

size_t cert_read_file(const char *path, EVP_PKEY **key, X509 **certificates, size_t most)
{
    FILE *file = fopen(path, "re");
    size_t count = 0;

    if (!file)
        return 0;
    if (key)
        *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    while (count < most && (certificates[count] = PEM_read_X509(file, NULL, NULL, NULL)) != NULL)
        count++;
    fclose(file);
    return count;
}
