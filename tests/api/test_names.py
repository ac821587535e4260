# SPDX-License-Identifier: MIT
"""Names change and come back; uuids stay, and mean one object for ever."""
import unittest

from case import ApiCase


class Names(ApiCase):
    def rename(self, path, name):
        self.api.good("PATCH", path, {"name": name})

    def listed(self, target):
        return [item["name"] for item in self.api.get(target).json["items"]]

    def test_a_new_name_is_in_every_document(self):
        api = self.api
        api.upload("kernel-old", b"kernel" * 100)
        api.upload("cd-old", b"c" * 2048, "cdrom")
        api.good("POST", "/v1/disks", {"name": "disk-old", "size": "1MiB"})
        api.good("POST", "/v1/networks", {"name": "net-old", "mode": "isolated", "subnet": "10.79.0.0/24"})
        self.make_vm("names", boot={"kernel": "kernel-old"}, nics={"a": {"network": "net-old"}},
                     disks={"root": {"disk": "disk-old"}, "cd": {"cdrom": True, "image": "cd-old"}})
        before = api.get("/v1/vms/names")
        since = api.get("/v1/vms?limit=1").json["sequence"]
        for path, name in (("/v1/images/kernel-old", "kernel-new"), ("/v1/images/cd-old", "cd-new"),
                           ("/v1/disks/disk-old", "disk-new"), ("/v1/networks/net-old", "net-new")):
            self.rename(path, name)
        vm = api.get("/v1/vms/names")
        self.assertEqual(vm.json["boot"]["kernel"], "kernel-new")
        self.assertEqual(vm.json["disks"]["root"]["disk"], "disk-new")
        self.assertEqual(vm.json["disks"]["cd"]["image"], "cd-new")
        self.assertEqual(vm.json["nics"]["a"]["network"], "net-new")
        self.assertEqual(vm.json["revision"], before.json["revision"] + 4)
        self.assertNotEqual(vm.headers["ETag"], before.headers["ETag"])
        self.assertEqual(self.listed(f"/v1/vms?since={since}"), ["names"])
        for condition in ("image=kernel-new", "image=cd-new", "disk=disk-new", "network=net-new"):
            self.assertEqual(self.listed(f"/v1/vms?filter={condition}"), ["names"])
            self.assertEqual(self.listed(f"/v1/vms?filter={condition.replace('new', 'old')}"), [])
        api.good("POST", "/v1/vms/names/start")
        api.good("POST", "/v1/vms/names/poweroff")

    def test_an_old_name_means_its_new_owner(self):
        """A disk that takes another's old name can be attached by it; the other VM keeps its own disk."""
        old = self.api.good("POST", "/v1/disks", {"name": "passed-on", "size": "1MiB"})
        self.make_vm("owner", disks={"root": {"disk": "passed-on"}})
        self.rename("/v1/disks/passed-on", "kept")
        new = self.api.good("POST", "/v1/disks", {"name": "passed-on", "size": "2MiB"})
        self.api.good("PATCH", "/v1/vms/owner", {"disks": {"root": {"read_only": True}}})
        self.assertEqual(self.api.get("/v1/disks/kept").json["status"]["used_by"], [self.api.get("/v1/vms/owner").json["uuid"]])
        self.api.good("PATCH", "/v1/vms/owner", {"disks": {"root": {"disk": "passed-on"}}})
        self.assertEqual(self.api.get(f"/v1/disks/{old['uuid']}").json["status"]["used_by"], [])
        self.assertEqual(len(self.api.get(f"/v1/disks/{new['uuid']}").json["status"]["used_by"]), 1)

    def test_a_rename_waits_for_what_names_the_object(self):
        self.api.good("POST", "/v1/disks", {"name": "awaited", "size": "1MiB"})
        self.make_vm("slow", boot={"kernel": "linux", "cmdline": "sim.late=60000"}, disks={"root": {"disk": "awaited"}})
        start = self.api.post("/v1/vms/slow/start")
        self.assertEqual(start.status, 202, start)
        answer = self.api.patch("/v1/disks/awaited", {"name": "hasty"})
        self.assert_problem(answer, 409, "wrong-state")
        self.assertEqual((answer.pointers, answer.json["holder"]), (["/name"], start.json["uuid"]))
        self.assertEqual(self.api.get("/v1/disks/awaited").status, 200)
        self.api.good("POST", "/v1/vms/slow/poweroff")
        self.rename("/v1/disks/awaited", "patient")
        self.assertEqual(self.api.get("/v1/vms/slow").json["disks"]["root"]["disk"], "patient")

    def test_a_dry_rename_changes_nothing(self):
        self.api.good("POST", "/v1/disks", {"name": "dry", "size": "1MiB"})
        self.make_vm("dry", disks={"root": {"disk": "dry"}})
        etag = self.api.get("/v1/vms/dry").headers["ETag"]
        self.assertEqual(self.api.patch("/v1/disks/dry?dry_run=true", {"name": "wet"}).json["name"], "wet")
        self.assertEqual(self.api.get("/v1/vms/dry").headers["ETag"], etag)

    def test_tokens_follow_their_user(self):
        self.api.good("POST", "/v1/users", {"name": "miss", "role": "viewer"})
        self.make_token("hers", "viewer", user="miss")
        self.rename("/v1/users/miss", "missus")
        self.api.good("POST", "/v1/users", {"name": "miss", "role": "viewer"})
        self.assertEqual(self.api.get("/v1/tokens/hers").json["user"], "missus")
        self.assertEqual(self.listed("/v1/tokens?filter=user=missus"), ["hers"])
        self.assertEqual(self.listed("/v1/tokens?filter=user=miss"), [])
        self.assertEqual(self.listed("/v1/tokens?filter=user=missus,role=viewer"), ["hers"])

    def test_a_name_is_never_like_a_uuid(self):
        """Else a path with the uuid of a deleted VM would mean another one."""
        uuid = self.make_vm("doomed")["uuid"]
        self.api.good("DELETE", "/v1/vms/doomed")
        self.make_vm("innocent")
        for answer in (self.api.post("/v1/vms", {"name": uuid, "memory": {"size": "64MiB"}}),
                       self.api.patch("/v1/vms/innocent", {"name": uuid}),
                       self.api.post("/v1/vms/innocent/clone", {"name": uuid}),
                       self.api.post("/v1/vms/innocent/snapshots", {"name": uuid}),
                       self.api.post("/v1/disks", {"name": uuid, "size": "1MiB"})):
            self.assert_problem(answer, 422, "invalid-fields")
            self.assertEqual(answer.pointers, ["/name"])
        self.assertEqual(self.api.get(f"/v1/vms/{uuid}").status, 404)
        self.assertEqual(self.api.delete(f"/v1/vms/{uuid}").status, 404)

    def test_a_disk_says_the_new_name_of_its_image(self):
        old = self.api.upload("image-old", b"i" * 4096, "disk", format="raw")
        self.api.good("POST", "/v1/disks", {"name": "by-name", "image": "image-old"})
        self.api.good("POST", "/v1/disks", {"name": "by-uuid", "image": old["uuid"]})
        since = self.api.get("/v1/disks?limit=1").json["sequence"]
        etag = self.api.get("/v1/disks/by-name").headers["ETag"]
        self.rename("/v1/images/image-old", "image-new")
        self.assertEqual(self.api.get("/v1/disks/by-name").json["image"], "image-new")
        self.assertNotEqual(self.api.get("/v1/disks/by-name").headers["ETag"], etag)
        self.assertEqual(self.api.get("/v1/disks/by-uuid").json["image"], old["uuid"])
        self.assertEqual(self.listed(f"/v1/disks?since={since}"), ["by-name"])
        new = self.api.upload("image-old", b"n" * 4096, "disk", format="raw")
        self.api.good("POST", "/v1/disks", {"name": "of-the-new", "image": "image-old"})
        for condition, names in (("image=image-old", ["of-the-new"]), (f"image={new['uuid']}", ["of-the-new"]),
                                 ("image=image-new", ["by-name"]), (f"image={old['uuid']}", ["by-name", "by-uuid"])):
            self.assertEqual(self.listed(f"/v1/disks?filter={condition}"), names, condition)
        self.rename("/v1/images/image-new", "image-newest")
        self.assertEqual(self.listed("/v1/disks?filter=image=image-newest"), ["by-name"])
        self.assertEqual(self.api.get("/v1/disks/of-the-new").json["image"], "image-old")

    def test_a_disk_keeps_what_it_is_found_by(self):
        image = self.api.upload("base", b"b" * 4096, "disk", format="raw")
        self.api.good("POST", "/v1/disks", {"name": "based", "image": "base", "tags": ["x"]})
        self.api.good("PATCH", "/v1/disks/based", {"tags": ["y"]})
        for condition in ("image=base", f"image={image['uuid']}", "tag=y,image=base"):
            self.assertEqual(self.listed(f"/v1/disks?filter={condition}"), ["based"])
        self.assertEqual(self.listed("/v1/disks?filter=tag=x"), [])


if __name__ == "__main__":
    unittest.main()
