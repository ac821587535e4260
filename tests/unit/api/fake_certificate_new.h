/* SPDX-License-Identifier: MIT */
/*
 * A second certificate for tests only; its key is public.
 */
#ifndef BULKHEAD_TESTS_API_FAKE_CERTIFICATE_NEW_H
#define BULKHEAD_TESTS_API_FAKE_CERTIFICATE_NEW_H

static const char fake_certificate_new[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgjCCASegAwIBAgIUKySaDIjK67lEl8y4P+77MdqDu/4wCgYIKoZIzj0EAwIw\n"
    "FTETMBEGA1UEAwwKbG9jYWxob3N0MjAgFw0yNjExMjEwODU0MzRaGA8yMTI2MTAy\n"
    "ODA4NTQzNFowFTETMBEGA1UEAwwKbG9jYWxob3N0MjBZMBMGByqGSM49AgEGCCqG\n"
    "SM49AwEHA0IABGj/ngQeKHolHSfAh7A1ojDyjG+TJt4hQ0Nxi3QxC85paLz9ePeB\n"
    "Ac0AVjOm71DA5Q/PevidmPmEt0hZ/cHbFiijUzBRMB0GA1UdDgQWBBRyqsOjuB9l\n"
    "97VWIDlpO6dOY65rjTAfBgNVHSMEGDAWgBRyqsOjuB9l97VWIDlpO6dOY65rjTAP\n"
    "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQC/U0SLw/kc+HKpRTGU\n"
    "eG/pSCUz0uURJDL1HI3tJJS2RAIhAKDp8jPlwlFQEpEGFtHcFA3bIa60iAHNkA4p\n"
    "0P5ot4Yo\n"
    "-----END CERTIFICATE-----\n";

static const char fake_key_new[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRU7f3SecCVGXn1d3\n"
    "oL7goGiPhb8svKJnqxU/W5GViNqhRANCAARo/54EHih6JR0nwIewNaIw8oxvkybe\n"
    "IUNDcYt0MQvOaWi8/Xj3gQHNAFYzpu9QwOUPz3r4nZj5hLdIWf3B2xYo\n"
    "-----END PRIVATE KEY-----\n";

#endif
