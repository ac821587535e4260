/* SPDX-License-Identifier: MIT */
/*
 * The authority on disk:
 *
 *   ca.pem      key and certificate of the authority
 *   ca.crt      its certificate alone, for people to copy
 *   ca-old.pem  during a rotation: the old certificate, and the new one signed by the old
 *   server.pem  key and certificate of the server
 *
 * Each file is replaced whole. Whatever a crash leaves, the next start repairs:
 * a server certificate that the authority did not sign is made again.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/text.h"
#include "mgmtd/options.h"
#include "mgmtd/pki_cert.h"

#define DAY               86400ll
#define AUTHORITY_SECONDS (3650 * DAY)
#define SERVER_SECONDS    (90 * DAY)

struct pki {
    pthread_mutex_t lock;
    char directory[PATH_SIZE];
    char **names;
    EVP_PKEY *ca_key;
    X509 *ca;
    X509 *old_ca; /* NULL outside rotations */
    X509 *cross;  /* ca, signed by old_ca */
    EVP_PKEY *server_key;
    X509 *server;
};

static bool fail(char *message, size_t size, const char *what)
{
    char reason[256] = "";

    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    snprintf(message, size, "%s: %s", what, reason);
    return false;
}

static bool file_path(const struct pki *pki, const char *name, char path[PATH_SIZE])
{
    return path_join(path, pki->directory, "%s", name);
}

static bool write_named(const struct pki *pki, const char *name, EVP_PKEY *key,
                        X509 *const *certificates, size_t count)
{
    char path[PATH_SIZE];

    return file_path(pki, name, path) && cert_write_file(path, key, certificates, count);
}

/* --- Authority --- */

static X509 *make_authority(EVP_PKEY *key)
{
    uint8_t random[4] = {0};
    char name[64];
    struct cert_policy policy = {
        .use = CERT_AUTHORITY, .common_name = name, .seconds = AUTHORITY_SECONDS};

    random_bytes(random, sizeof(random));
    snprintf(name, sizeof(name), "Bulkhead host authority %02x%02x%02x%02x", random[0], random[1],
             random[2], random[3]);
    return cert_sign(key, &policy, NULL, NULL);
}

static bool write_authority(const struct pki *pki, EVP_PKEY *key, X509 *certificate)
{
    return write_named(pki, "ca.pem", key, &certificate, 1) &&
           write_named(pki, "ca.crt", NULL, &certificate, 1);
}

static bool load_authority(struct pki *pki, char *message, size_t size)
{
    X509 *old[2] = {NULL, NULL};
    char path[PATH_SIZE];

    if (!file_path(pki, "ca.pem", path))
        return fail(message, size, "the directory's path is too long");
    if (cert_read_file(path, &pki->ca_key, &pki->ca, 1) == 0) {
        struct stat file;

        if (stat(path, &file) == 0) {
            snprintf(message, size, "%s is damaged; restore it, or remove it to begin anew", path);
            return false;
        }
        pki->ca_key = cert_make_key();
        pki->ca = make_authority(pki->ca_key);
        if (!pki->ca || !write_authority(pki, pki->ca_key, pki->ca))
            return fail(message, size, "cannot make the certificate authority");
    }
    if (!pki->ca_key || X509_check_private_key(pki->ca, pki->ca_key) != 1)
        return fail(message, size, "the key in ca.pem is not the certificate's");
    if (file_path(pki, "ca-old.pem", path) && cert_read_file(path, NULL, old, 2) == 2) {
        pki->old_ca = old[0];
        pki->cross = old[1];
    }
    return true;
}

/* --- Server --- */

static bool make_server(struct pki *pki, char *message, size_t size)
{
    struct cert_policy policy = {.use = CERT_SERVER,
                                 .common_name = pki->names[0],
                                 .names = (const char *const *)pki->names,
                                 .seconds = SERVER_SECONDS};
    EVP_PKEY *key = cert_make_key();
    X509 *certificate = cert_sign(key, &policy, pki->ca, pki->ca_key);

    if (!certificate || !write_named(pki, "server.pem", key, &certificate, 1)) {
        X509_free(certificate);
        EVP_PKEY_free(key);
        return fail(message, size, "cannot make the server certificate");
    }
    X509_free(pki->server);
    EVP_PKEY_free(pki->server_key);
    pki->server = certificate;
    pki->server_key = key;
    return true;
}

static bool has_name(X509 *certificate, const char *name)
{
    return X509_check_host(certificate, name, 0, 0, NULL) == 1 ||
           X509_check_ip_asc(certificate, name, 0) == 1;
}

static bool server_fits(struct pki *pki)
{
    EVP_PKEY *ca_public = X509_get0_pubkey(pki->ca);

    if (!pki->server || !pki->server_key || X509_verify(pki->server, ca_public) != 1 ||
        X509_check_private_key(pki->server, pki->server_key) != 1)
        return false;
    for (char **name = pki->names; *name; name++)
        if (!has_name(pki->server, *name))
            return false;
    return true;
}

/* Two thirds of its time are over. */
static bool server_due(const struct pki *pki)
{
    int64_t from = cert_not_before(pki->server);
    int64_t until = cert_not_after(pki->server);

    return time_now() > from + (until - from) / 3 * 2;
}

static bool load_server(struct pki *pki, char *message, size_t size)
{
    char path[PATH_SIZE];

    if (file_path(pki, "server.pem", path))
        cert_read_file(path, &pki->server_key, &pki->server, 1);
    if (server_fits(pki) && !server_due(pki))
        return true;
    return make_server(pki, message, size);
}

static char **copy_names(const char *const *names)
{
    size_t count = 0;
    char **copy;

    while (names[count])
        count++;
    copy = calloc(count + 1, sizeof(char *));
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = strdup(names[i]);
    return copy;
}

struct pki *pki_open(const char *directory, const char *const *names, char *message, size_t size)
{
    struct pki *pki = calloc(1, sizeof(*pki));

    if (!pki)
        return NULL;
    pthread_mutex_init(&pki->lock, NULL);
    snprintf(pki->directory, sizeof(pki->directory), "%s", directory);
    pki->names = copy_names(names);
    if (pki->names && load_authority(pki, message, size) && load_server(pki, message, size))
        return pki;
    pki_close(pki);
    return NULL;
}

void pki_close(struct pki *pki)
{
    for (char **name = pki->names; name && *name; name++)
        free(*name);
    free(pki->names);
    X509_free(pki->ca);
    X509_free(pki->old_ca);
    X509_free(pki->cross);
    X509_free(pki->server);
    EVP_PKEY_free(pki->ca_key);
    EVP_PKEY_free(pki->server_key);
    pthread_mutex_destroy(&pki->lock);
    free(pki);
}

/* --- PEM for others --- */

static void add_pem(struct text *text, X509 *certificate)
{
    char *pem = certificate ? cert_to_pem(certificate) : NULL;

    if (pem)
        text_puts(text, pem);
    free(pem);
}

char *pki_server_chain(struct pki *pki)
{
    struct text chain = {0};

    pthread_mutex_lock(&pki->lock);
    add_pem(&chain, pki->server);
    add_pem(&chain, pki->cross);
    pthread_mutex_unlock(&pki->lock);
    return text_take(&chain);
}

char *pki_server_key(struct pki *pki)
{
    char *pem;

    pthread_mutex_lock(&pki->lock);
    pem = cert_key_to_pem(pki->server_key);
    pthread_mutex_unlock(&pki->lock);
    return pem;
}

char *pki_authorities(struct pki *pki)
{
    struct text list = {0};

    pthread_mutex_lock(&pki->lock);
    add_pem(&list, pki->ca);
    add_pem(&list, pki->old_ca);
    pthread_mutex_unlock(&pki->lock);
    return text_take(&list);
}

/* --- Clients --- */

static bool verify_with(X509 *certificate, X509 *authority)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool good = store && context && X509_STORE_add_cert(store, authority) == 1 &&
                X509_STORE_CTX_init(context, store, certificate, NULL) == 1 &&
                X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT) == 1 &&
                X509_verify_cert(context) == 1;

    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
}

bool pki_verify_client(struct pki *pki, const unsigned char *der, size_t size,
                       char fingerprint[SHA256_TEXT])
{
    X509 *certificate = d2i_X509(NULL, &der, (long)size);
    bool good = false;

    if (!certificate)
        return false;
    cert_fingerprint(certificate, fingerprint);
    pthread_mutex_lock(&pki->lock);
    good =
        verify_with(certificate, pki->ca) || (pki->old_ca && verify_with(certificate, pki->old_ca));
    pthread_mutex_unlock(&pki->lock);
    X509_free(certificate);
    ERR_clear_error();
    return good;
}

static EVP_PKEY *key_of_request(const char *pem, char *message, size_t size)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;

    if (!key || X509_REQ_verify(request, key) != 1) {
        snprintf(message, size, "must be a PKCS 10 request in PEM, signed by its own key");
        EVP_PKEY_free(key);
        key = NULL;
    } else if (EVP_PKEY_get_security_bits(key) < 112) {
        snprintf(message, size, "the key is too weak: use P-256, Ed25519, or RSA with 2048 bits");
        EVP_PKEY_free(key);
        key = NULL;
    }
    X509_REQ_free(request);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

bool pki_sign_client(struct pki *pki, const char *request, const char *user, int64_t seconds,
                     struct pki_signed *out, char *message, size_t size)
{
    struct cert_policy policy = {.use = CERT_CLIENT, .common_name = user, .seconds = seconds};
    EVP_PKEY *key = key_of_request(request, message, size);
    X509 *certificate;

    if (!key)
        return false;
    pthread_mutex_lock(&pki->lock);
    certificate = cert_sign(key, &policy, pki->ca, pki->ca_key);
    pthread_mutex_unlock(&pki->lock);
    EVP_PKEY_free(key);
    if (!certificate)
        return fail(message, size, "cannot sign");
    out->certificate = cert_to_pem(certificate);
    out->not_after = cert_not_after(certificate);
    cert_fingerprint(certificate, out->fingerprint);
    X509_free(certificate);
    return out->certificate != NULL;
}

/* --- Rotation and renewal --- */

static X509 *cross_sign(const struct pki *pki, EVP_PKEY *key, X509 *certificate)
{
    char name[128] = "";
    struct cert_policy policy = {.use = CERT_AUTHORITY, .common_name = name};

    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof(name));
    policy.seconds = (cert_not_after(pki->ca) - time_now()) / 1000;
    return policy.seconds > 0 ? cert_sign(key, &policy, pki->ca, pki->ca_key) : NULL;
}

static bool rotate_locked(struct pki *pki, char *message, size_t size)
{
    EVP_PKEY *key = cert_make_key();
    X509 *certificate = make_authority(key);
    X509 *cross = certificate ? cross_sign(pki, key, certificate) : NULL;
    X509 *old[2] = {pki->ca, cross};

    /* The old one first: a crash in between leaves an old authority that is also the present. */
    if (!cross || !write_named(pki, "ca-old.pem", NULL, old, 2) ||
        !write_authority(pki, key, certificate)) {
        X509_free(cross);
        X509_free(certificate);
        EVP_PKEY_free(key);
        return fail(message, size, "cannot make a new certificate authority");
    }
    X509_free(pki->old_ca);
    X509_free(pki->cross);
    EVP_PKEY_free(pki->ca_key);
    pki->old_ca = pki->ca;
    pki->cross = cross;
    pki->ca = certificate;
    pki->ca_key = key;
    return make_server(pki, message, size);
}

bool pki_rotate(struct pki *pki, char *message, size_t size)
{
    bool done;

    pthread_mutex_lock(&pki->lock);
    done = rotate_locked(pki, message, size);
    pthread_mutex_unlock(&pki->lock);
    return done;
}

bool pki_renew(struct pki *pki, char *message, size_t size)
{
    bool renewed;

    message[0] = '\0';
    pthread_mutex_lock(&pki->lock);
    renewed = server_due(pki) && make_server(pki, message, size);
    pthread_mutex_unlock(&pki->lock);
    return renewed;
}

static void visit_one(X509 *certificate, const char *role, pki_visitor *visit, void *context)
{
    char fingerprint[SHA256_TEXT];
    char *pem = certificate ? cert_to_pem(certificate) : NULL;

    if (!pem)
        return;
    cert_fingerprint(certificate, fingerprint);
    visit(context, role, pem, fingerprint, cert_not_after(certificate));
    free(pem);
}

void pki_visit(struct pki *pki, pki_visitor *visit, void *context)
{
    pthread_mutex_lock(&pki->lock);
    visit_one(pki->ca, "ca", visit, context);
    visit_one(pki->old_ca, "ca", visit, context);
    visit_one(pki->server, "server", visit, context);
    pthread_mutex_unlock(&pki->lock);
}
