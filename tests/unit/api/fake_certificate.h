/* SPDX-License-Identifier: MIT */
/*
 * A certificate for tests only; its key is public.
 */
#ifndef BULKHEAD_TESTS_API_FAKE_CERTIFICATE_H
#define BULKHEAD_TESTS_API_FAKE_CERTIFICATE_H

static const char fake_certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmzCCAUGgAwIBAgIUOJvxeb/FJ+06plKTPQT2h1sLQVAwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA4NDg1OVoYDzIxMjYxMDI4\n"
    "MDg0ODU5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAASZ7pqCq43AuxYZxnKfRt/CIZVzP22750E85+gI3uoCUV6GdTcRDVmt\n"
    "ENmFEptdTzcpcXpQlG7RLfgvoJLL41uGo28wbTAdBgNVHQ4EFgQUM1PXZpkIpkfy\n"
    "WDak8viUqaQ1zx4wHwYDVR0jBBgwFoAUM1PXZpkIpkfyWDak8viUqaQ1zx4wDwYD\n"
    "VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI\n"
    "zj0EAwIDSAAwRQIhALwFEYtf75X/g+9HEMs+heN8PpJPlCHziO76d8w6OvH3AiBh\n"
    "eeTlZ/h83qUqZzMYb+BgcutzJJ3KhQCKBwiFFZ/Qaw==\n"
    "-----END CERTIFICATE-----\n";

static const char fake_key[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHYLAGXkUIjtiQWJv\n"
                               "z4qsMbm/+yKeaNOWtcfwv+DoVs+hRANCAASZ7pqCq43AuxYZxnKfRt/CIZVzP227\n"
                               "50E85+gI3uoCUV6GdTcRDVmtENmFEptdTzcpcXpQlG7RLfgvoJLL41uG\n"
                               "-----END PRIVATE KEY-----\n";

#endif
