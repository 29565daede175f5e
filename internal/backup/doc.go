// Package backup keeps sealed copies of a shop's database in object storage.
//
// A backup is two objects below one folder that is named by its id:
//
//	<id>/dump           what pg_dump wrote, sealed as a stream (package crypto)
//	<id>/manifest.json  what is in it, written last
//
// What has no manifest is no backup: an upload that was cut off is never listed
// nor restored, and is removed a day later. The manifest is deleted first for the
// same reason. An id begins with the time of the snapshot, so ids sort by time.
//
// The manifest can be read without a key. All of it that matters when restoring
// (its Head) is authenticated together with every part of the dump, so who can
// write to the bucket can delete backups and can neither change one nor pass an
// old one off as new.
//
// The dump itself is made and read by PostgreSQL's own pg_dump and pg_restore in
// a container beside; this package tells them where the database is and what
// belongs to the shop, and prepares the roles that the dump refers to.
package backup
