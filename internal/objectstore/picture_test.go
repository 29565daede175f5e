package objectstore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/commercestack/commercestack/internal/objectstore"
)

// flag is a picture whose left half is red and right half blue.
func flag(w, h int, alpha uint8) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{R: 255, A: alpha}
			if x >= w/2 {
				c = color.NRGBA{B: 255, A: alpha}
			}
			p.SetNRGBA(x, y, c)
		}
	}
	return p
}

func asJPEG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, p, nil); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func asPNG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := png.Encode(&buf, p); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func asGIF(t testing.TB, p image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := gif.Encode(&buf, p, nil); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func fromBase64(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const (
	lossyWebP    = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"
	losslessWebP = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
)

// withSegment inserts a segment after the start of a JPEG.
func withSegment(data []byte, marker byte, body []byte) []byte {
	segment := append([]byte{0xff, marker}, binary.BigEndian.AppendUint16(nil, uint16(len(body)+2))...)
	return bytes.Join([][]byte{data[:2], segment, body, data[2:]}, nil)
}

func exif(order binary.AppendByteOrder, name string, orientation uint16) []byte {
	tiff := append([]byte("Exif\x00\x00"), name...)
	tiff = order.AppendUint16(tiff, 42)
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	tiff = append(tiff, make([]byte, 12)...) // another entry first
	tiff = order.AppendUint16(tiff, 0x0112)
	tiff = order.AppendUint16(tiff, 3)
	tiff = order.AppendUint32(tiff, 1)
	tiff = order.AppendUint16(tiff, orientation)
	return append(tiff, 0, 0, 0, 0, 0, 0)
}

// read decodes a stored rendition.
func read(t *testing.T, store *objectstore.Store, r objectstore.Rendition) (image.Image, []byte) {
	t.Helper()
	object, err := store.Get(t.Context(), r.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	data, err := io.ReadAll(object)
	if err != nil {
		t.Fatal(err)
	}
	picture, format, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if "image/"+format != r.ContentType || object.ContentType != r.ContentType || int64(len(data)) != r.Size ||
		picture.Bounds().Dx() != r.Width || picture.Bounds().Dy() != r.Height {
		t.Errorf("rendition %+v is %s of %v, %d bytes, stored as %s", r, format, picture.Bounds(), len(data), object.ContentType)
	}
	return picture, data
}

func TestRenditions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		data        []byte
		contentType string
		sizes       [][2]int
	}{
		"wide jpeg":        {asJPEG(t, flag(1400, 70, 255)), "image/jpeg", [][2]int{{1200, 60}, {320, 16}}},
		"small jpeg":       {asJPEG(t, flag(100, 50, 255)), "image/jpeg", [][2]int{{100, 50}, {100, 50}}},
		"tall jpeg":        {asJPEG(t, flag(40, 1280, 255)), "image/jpeg", [][2]int{{40, 1280}, {20, 640}}},
		"a line":           {asJPEG(t, flag(1300, 1, 255)), "image/jpeg", [][2]int{{1200, 1}, {320, 1}}},
		"grey jpeg":        {asJPEG(t, image.NewGray(image.Rect(0, 0, 400, 400))), "image/jpeg", [][2]int{{400, 400}, {320, 320}}},
		"opaque png":       {asPNG(t, flag(400, 400, 255)), "image/jpeg", [][2]int{{400, 400}, {320, 320}}},
		"translucent png":  {asPNG(t, flag(400, 400, 120)), "image/png", [][2]int{{400, 400}, {320, 320}}},
		"gif":              {asGIF(t, flag(400, 200, 255)), "image/jpeg", [][2]int{{400, 200}, {320, 160}}},
		"webp":             {fromBase64(t, lossyWebP), "image/jpeg", [][2]int{{1, 1}, {1, 1}}},
		"webp, lossless":   {fromBase64(t, losslessWebP), "image/png", [][2]int{{1, 1}, {1, 1}}},
		"picture and page": {append(asGIF(t, flag(8, 8, 255)), "<script>alert(1)</script>"...), "image/jpeg", [][2]int{{8, 8}, {8, 8}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newStore(t)
			renditions, err := store.PutPicture(t.Context(), "products/1", bytes.NewReader(tt.data), objectstore.PictureLimits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(renditions) != len(tt.sizes) {
				t.Fatalf("%d renditions, want %d", len(renditions), len(tt.sizes))
			}
			for i, r := range renditions {
				if r.ContentType != tt.contentType || r.Width != tt.sizes[i][0] || r.Height != tt.sizes[i][1] || !strings.HasPrefix(r.Key, "products/1/") {
					t.Errorf("rendition %+v, want %s of %v", r, tt.contentType, tt.sizes[i])
				}
				if _, data := read(t, store, r); bytes.Contains(data, []byte("<script>")) {
					t.Error("the script survived")
				}
			}
		})
	}
}

func TestEqualPicturesShareAKey(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	data := asJPEG(t, flag(64, 64, 255))
	var keys []string
	for range 2 {
		renditions, err := store.PutPicture(t.Context(), "p", bytes.NewReader(data), objectstore.PictureLimits{Widths: []int{64, 32}})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, renditions[0].Key, renditions[1].Key)
	}
	if keys[0] != keys[2] || keys[1] != keys[3] || keys[0] == keys[1] {
		t.Errorf("keys %v", keys)
	}
}

func TestMetadataIsGone(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	data := withSegment(asJPEG(t, flag(64, 64, 255)), 0xe1, append(exif(binary.LittleEndian, "II", 1), "48.2082N 16.3738E"...))
	data = withSegment(data, 0xfe, []byte("a comment <script>"))
	renditions, err := store.PutPicture(t.Context(), "p", bytes.NewReader(data), objectstore.PictureLimits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range renditions {
		_, clean := read(t, store, r)
		for _, hidden := range []string{"Exif", "48.2082N", "script"} {
			if bytes.Contains(clean, []byte(hidden)) {
				t.Errorf("%q survived", hidden)
			}
		}
	}
}

// A phone writes how it was held into the metadata that is dropped, so the
// picture itself is turned. The flag is red on the left, blue on the right.
func TestPicturesAreTurnedUpright(t *testing.T) {
	t.Parallel()
	tests := []struct {
		orientation uint16
		size        [2]int
		redAt       image.Point // a corner that must be red
		blueAt      image.Point
	}{
		{1, [2]int{64, 32}, image.Pt(4, 4), image.Pt(60, 4)},
		{2, [2]int{64, 32}, image.Pt(60, 4), image.Pt(4, 4)},
		{3, [2]int{64, 32}, image.Pt(60, 28), image.Pt(4, 28)},
		{4, [2]int{64, 32}, image.Pt(4, 28), image.Pt(60, 28)},
		{5, [2]int{32, 64}, image.Pt(4, 4), image.Pt(4, 60)},
		{6, [2]int{32, 64}, image.Pt(28, 4), image.Pt(28, 60)},
		{7, [2]int{32, 64}, image.Pt(28, 60), image.Pt(28, 4)},
		{8, [2]int{32, 64}, image.Pt(4, 60), image.Pt(4, 4)},
		{9, [2]int{64, 32}, image.Pt(4, 4), image.Pt(60, 4)},
	}
	store := newStore(t)
	plain := asJPEG(t, flag(64, 32, 255))
	for _, tt := range tests {
		for name, order := range map[string]binary.AppendByteOrder{"II": binary.LittleEndian, "MM": binary.BigEndian} {
			data := withSegment(plain, 0xe1, exif(order, name, tt.orientation))
			data = withSegment(data, 0xe0, []byte("JFIF\x00")) // stands before it
			renditions, err := store.PutPicture(t.Context(), "p", bytes.NewReader(data), objectstore.PictureLimits{Widths: []int{64}})
			if err != nil {
				t.Fatal(err)
			}
			picture, _ := read(t, store, renditions[0])
			if got := [2]int{renditions[0].Width, renditions[0].Height}; got != tt.size {
				t.Errorf("orientation %d: size %v, want %v", tt.orientation, got, tt.size)
				continue
			}
			if r, _, b, _ := picture.At(tt.redAt.X, tt.redAt.Y).RGBA(); r < b {
				t.Errorf("orientation %d %s: %v is not red", tt.orientation, name, tt.redAt)
			}
			if r, _, b, _ := picture.At(tt.blueAt.X, tt.blueAt.Y).RGBA(); r > b {
				t.Errorf("orientation %d %s: %v is not blue", tt.orientation, name, tt.blueAt)
			}
		}
	}
}

// pngOf makes a PNG that claims a size and holds next to nothing.
func pngOf(w, h uint32) []byte {
	body := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
	body = append(body, 8, 6, 0, 0, 0)
	data := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	data = append(data, body...)
	return binary.BigEndian.AppendUint32(data, crc32.ChecksumIEEE(body))
}

func TestBadPicturesAreRefused(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	whole := asJPEG(t, flag(64, 64, 255))
	tests := map[string]struct {
		data []byte
		want error
	}{
		"svg":             {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), objectstore.ErrNotPicture},
		"xml svg":         {[]byte("<?xml version=\"1.0\"?>\n<svg/>"), objectstore.ErrNotPicture},
		"html":            {[]byte("<!doctype html><script>alert(1)</script>"), objectstore.ErrNotPicture},
		"text":            {[]byte("hello"), objectstore.ErrNotPicture},
		"nothing":         {nil, objectstore.ErrNotPicture},
		"bmp":             {append([]byte("BM"), make([]byte, 100)...), objectstore.ErrNotPicture},
		"half a jpeg":     {whole[:len(whole)/2], objectstore.ErrNotPicture},
		"jpeg magic only": {[]byte("\xff\xd8\xff\xe0 and text"), objectstore.ErrNotPicture},
		"gif of html":     {[]byte("GIF89a\x01\x00\x01\x00<script>alert(1)</script>"), objectstore.ErrNotPicture},
		"webp of nothing": {[]byte("RIFF\x10\x00\x00\x00WEBPVP8 "), objectstore.ErrNotPicture},
		"png bomb":        {pngOf(50_000, 50_000), objectstore.ErrTooManyPixels},
		"png of odd size": {pngOf(0xffffffff, 0xffffffff), objectstore.ErrNotPicture},
		"empty png":       {pngOf(10, 10), objectstore.ErrNotPicture},
		"many scans":      {withSegment(whole, 0xfe, bytes.Repeat([]byte{0xff, 0xda}, 65)), objectstore.ErrTooManyPixels},
		"too large":       {bytes.Repeat([]byte("x"), 10<<20+1), objectstore.ErrTooLarge},
	}
	for name, tt := range tests {
		if _, err := store.PutPicture(t.Context(), "p", bytes.NewReader(tt.data), objectstore.PictureLimits{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, err := store.PutPicture(t.Context(), "p", brokenReader{}, objectstore.PictureLimits{}); !errors.Is(err, errBroken) {
		t.Errorf("broken body: %v", err)
	}
	small := objectstore.PictureLimits{Pixels: 64*64 - 1}
	if _, err := store.PutPicture(t.Context(), "p", bytes.NewReader(whole), small); !errors.Is(err, objectstore.ErrTooManyPixels) {
		t.Errorf("one pixel too many: %v", err)
	}
}

func TestPicturesWaitTheirTurn(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	data := asJPEG(t, flag(200, 100, 255))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := store.PutPicture(t.Context(), "p", bytes.NewReader(data), objectstore.PictureLimits{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.PutPicture(gone, "p", bytes.NewReader(data), objectstore.PictureLimits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func FuzzPutPicture(f *testing.F) {
	store := newStore(f)
	f.Add(asJPEG(f, flag(8, 8, 255)))
	f.Add(withSegment(asJPEG(f, flag(8, 8, 255)), 0xe1, exif(binary.BigEndian, "MM", 6)))
	f.Add(asPNG(f, flag(8, 8, 90)))
	f.Add(asGIF(f, flag(8, 8, 255)))
	f.Add(fromBase64(f, lossyWebP))
	f.Add(fromBase64(f, losslessWebP))
	limits := objectstore.PictureLimits{Pixels: 1 << 16, Widths: []int{16}}
	f.Fuzz(func(t *testing.T, data []byte) {
		renditions, err := store.PutPicture(context.Background(), "p", bytes.NewReader(data), limits)
		if err == nil {
			read(t, store, renditions[0])
			return
		}
		if !errors.Is(err, objectstore.ErrNotPicture) && !errors.Is(err, objectstore.ErrTooManyPixels) {
			t.Fatal(err)
		}
	})
}
