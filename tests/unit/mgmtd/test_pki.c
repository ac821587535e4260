/* SPDX-License-Identifier: MIT */
/* The authority: made once, client certificates, rotation with two at once, repair. */
#include "tests/unit/mgmtd/common.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "mgmtd/pki.h"
#include "mgmtd/pki_cert.h"

static const char *const names[] = {"host.example", "127.0.0.1", NULL};

static struct pki *open_pki(const char *directory)
{
    char message[512] = "";
    struct pki *pki = pki_open(directory, names, message, sizeof(message));

    if (!pki)
        fail_msg("%s", message);
    return pki;
}

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return certificate;
}

/* A certificate request with a subject and extensions that nobody should take over. */
static char *make_request(void)
{
    EVP_PKEY *key = cert_make_key();
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    char *pem;
    long size;

    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_ASC,
                               (const unsigned char *)"root", -1, -1, 0);
    X509_REQ_set_pubkey(request, key);
    X509_REQ_sign(request, key, EVP_sha256());
    PEM_write_bio_X509_REQ(bio, request);
    size = BIO_get_mem_data(bio, &bytes);
    pem = strndup(bytes, (size_t)size);
    BIO_free(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return pem;
}

static X509 *sign(struct pki *pki, const char *user)
{
    struct pki_signed made = {.certificate = NULL};
    char message[256] = "";
    char *request = make_request();
    X509 *certificate;

    if (!pki_sign_client(pki, request, user, 3600, &made, message, sizeof(message)))
        fail_msg("%s", message);
    certificate = parse(made.certificate);
    free(made.certificate);
    free(request);
    return certificate;
}

static bool accepted(struct pki *pki, X509 *certificate)
{
    unsigned char *der = NULL;
    char fingerprint[SHA256_TEXT];
    int size = i2d_X509(certificate, &der);
    bool good = pki_verify_client(pki, der, (size_t)size, fingerprint);

    OPENSSL_free(der);
    return good;
}

/* Whether who trusts only `authority` can check the server's chain for host.example. */
static bool server_trusted(struct pki *pki, X509 *authority)
{
    char *pem = pki_server_chain(pki);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509 *more = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool good;

    if (more)
        sk_X509_push(chain, more);
    X509_STORE_add_cert(store, authority);
    X509_STORE_CTX_init(context, store, leaf, chain);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), "host.example", 0);
    good = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    sk_X509_pop_free(chain, X509_free);
    X509_free(leaf);
    BIO_free(bio);
    free(pem);
    return good;
}

static X509 *newest_authority(struct pki *pki)
{
    char *pem = pki_authorities(pki);
    X509 *certificate = parse(pem);

    free(pem);
    return certificate;
}

static void an_authority_is_made_once(void **state)
{
    struct pki *pki = open_pki(*state);
    X509 *first = newest_authority(pki);
    X509 *second;
    char path[128];
    struct stat file;

    assert_true(server_trusted(pki, first));
    pki_close(pki);
    pki = open_pki(*state);
    second = newest_authority(pki);
    assert_int_equal(X509_cmp(first, second), 0);
    snprintf(path, sizeof(path), "%s/ca.pem", (char *)*state);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 077, 0);
    X509_free(first);
    X509_free(second);
    pki_close(pki);
}

static void only_the_key_of_a_request_is_taken(void **state)
{
    struct pki *pki = open_pki(*state);
    X509 *certificate = sign(pki, "bob");
    char name[64];

    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof(name));
    assert_string_equal(name, "bob");
    assert_true(accepted(pki, certificate));
    assert_int_equal(X509_check_ca(certificate), 0);
    assert_int_equal(X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0), 0);
    X509_free(certificate);
    pki_close(pki);
}

static void what_is_no_request_is_refused(void **state)
{
    struct pki *pki = open_pki(*state);
    struct pki_signed made;
    char message[256] = "";
    char *request = make_request();

    assert_false(pki_sign_client(pki, "hello", "bob", 60, &made, message, sizeof(message)));
    assert_non_null(strstr(message, "PKCS 10"));
    request[120] = request[120] == 'A' ? 'B' : 'A'; /* the signature no longer fits */
    assert_false(pki_sign_client(pki, request, "bob", 60, &made, message, sizeof(message)));
    free(request);
    pki_close(pki);
}

static void certificates_of_others_are_refused(void **state)
{
    struct pki *pki = open_pki(*state);
    char other_directory[128];
    struct pki *other;
    char *chain;
    X509 *certificate;
    X509 *server;

    snprintf(other_directory, sizeof(other_directory), "%s/other", (char *)*state);
    mkdir(other_directory, 0700);
    other = open_pki(other_directory);
    certificate = sign(other, "bob");
    assert_true(accepted(other, certificate));
    assert_false(accepted(pki, certificate));
    chain = pki_server_chain(pki);
    server = parse(chain);
    assert_false(accepted(pki, server)); /* for servers, not for clients */
    free(chain);
    X509_free(server);
    X509_free(certificate);
    pki_close(other);
    pki_close(pki);
}

static void count_authority(void *context, const char *role, const char *certificate,
                            const char *fingerprint, int64_t not_after)
{
    (void)certificate;
    assert_int_equal(strlen(fingerprint), 64);
    assert_true(not_after > time_now());
    *(int *)context += strcmp(role, "ca") == 0;
}

static void two_authorities_are_valid_during_a_rotation(void **state)
{
    struct pki *pki = open_pki(*state);
    X509 *old_authority = newest_authority(pki);
    X509 *old_client = sign(pki, "old");
    X509 *new_authority;
    X509 *new_client;
    char message[256] = "";
    int authorities = 0;

    assert_true(pki_rotate(pki, message, sizeof(message)));
    pki_close(pki);
    pki = open_pki(*state); /* a rotation survives a restart */
    new_authority = newest_authority(pki);
    new_client = sign(pki, "new");
    assert_int_not_equal(X509_cmp(old_authority, new_authority), 0);
    assert_true(accepted(pki, old_client));
    assert_true(accepted(pki, new_client));
    assert_true(server_trusted(pki, old_authority));
    assert_true(server_trusted(pki, new_authority));
    pki_visit(pki, count_authority, &authorities);
    assert_int_equal(authorities, 2);
    assert_true(pki_rotate(pki, message, sizeof(message)));
    assert_false(accepted(pki, old_client)); /* the next rotation retires the oldest */
    assert_true(accepted(pki, new_client));
    assert_false(server_trusted(pki, old_authority));
    X509_free(old_authority);
    X509_free(new_authority);
    X509_free(old_client);
    X509_free(new_client);
    pki_close(pki);
}

static void a_lost_server_certificate_is_made_again(void **state)
{
    struct pki *pki = open_pki(*state);
    X509 *authority = newest_authority(pki);
    char message[256];
    char path[128];

    assert_false(pki_renew(pki, message, sizeof(message))); /* it is new */
    assert_string_equal(message, "");
    pki_close(pki);
    snprintf(path, sizeof(path), "%s/server.pem", (char *)*state);
    unlink(path);
    pki = open_pki(*state);
    assert_true(server_trusted(pki, authority));
    X509_free(authority);
    pki_close(pki);
}

static void a_damaged_authority_is_not_replaced(void **state)
{
    char message[256] = "";
    char path[128];

    pki_close(open_pki(*state));
    snprintf(path, sizeof(path), "%s/ca.pem", (char *)*state);
    assert_int_equal(truncate(path, 100), 0);
    assert_null(pki_open(*state, names, message, sizeof(message)));
    assert_non_null(strstr(message, "ca.pem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(an_authority_is_made_once),
        DIRECTORY_TEST(only_the_key_of_a_request_is_taken),
        DIRECTORY_TEST(what_is_no_request_is_refused),
        DIRECTORY_TEST(certificates_of_others_are_refused),
        DIRECTORY_TEST(two_authorities_are_valid_during_a_rotation),
        DIRECTORY_TEST(a_lost_server_certificate_is_made_again),
        DIRECTORY_TEST(a_damaged_authority_is_not_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
