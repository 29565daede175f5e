// Package objectstore keeps uploads in a folder or in an S3 bucket.
//
// Pictures that people send are never stored as they came. They are decoded,
// turned upright, scaled, and encoded anew, so that scripts, comments,
// positions and whatever else hides in a file are gone; what cannot be decoded
// as JPEG, PNG, WebP or GIF is refused, SVG and HTML first of all. Bounds on
// bytes, pixels and scans hold before memory or time is spent.
//
// Pictures are content-addressed: the key holds the SHA-256 of the bytes, so a
// key never changes its meaning, equal pictures are stored once, and caches may
// keep them for ever.
package objectstore
