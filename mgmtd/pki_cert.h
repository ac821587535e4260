/* SPDX-License-Identifier: MIT */
/* Private to the PKI: making, writing and reading single certificates and keys. */
#ifndef MGMTD_PKI_CERT_H
#define MGMTD_PKI_CERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "mgmtd/pki.h"

EVP_PKEY *cert_make_key(void);

enum cert_use { CERT_AUTHORITY, CERT_SERVER, CERT_CLIENT };

/* What a certificate says. `names`: DNS names and addresses for servers; may be NULL. */
struct cert_policy {
    enum cert_use use;
    const char *common_name;
    const char *const *names;
    int64_t seconds;
};

/* A certificate for `key`, signed by `issuer` with `issuer_key`; issuer NULL: by itself. */
X509 *cert_sign(EVP_PKEY *key, const struct cert_policy *policy, X509 *issuer,
                EVP_PKEY *issuer_key);

char *cert_to_pem(X509 *certificate);
char *cert_key_to_pem(EVP_PKEY *key);
void cert_fingerprint(X509 *certificate, char fingerprint[SHA256_TEXT]);
int64_t cert_not_after(X509 *certificate);
int64_t cert_not_before(X509 *certificate);

/* A file with a key (or none) and certificates; written whole or not at all, mode 0600. */
bool cert_write_file(const char *path, EVP_PKEY *key, X509 *const *certificates, size_t count);
size_t cert_read_file(const char *path, EVP_PKEY **key, X509 **certificates, size_t most);

#endif
