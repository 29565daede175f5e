package objectstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

var (
	// ErrNotPicture tells that the bytes are not a JPEG, PNG, WebP or GIF that
	// can be decoded.
	ErrNotPicture = errors.New("objectstore: not a JPEG, PNG, WebP or GIF picture")
	// ErrTooManyPixels tells that a picture would take too much memory or time
	// to decode.
	ErrTooManyPixels = errors.New("objectstore: picture has too many pixels")
)

// PictureLimits bound what is accepted. Zero fields take the defaults.
type PictureLimits struct {
	// Bytes is the largest file; 0 is 10 MiB.
	Bytes int64
	// Pixels is the largest width × height; 0 is 24 million.
	Pixels int64
	// Widths are the renditions in pixels, widest first; nil is 1200 and 320.
	Widths []int
}

const (
	defaultBytes  = 10 << 20
	defaultPixels = 24_000_000
	jpegQuality   = 85
	// maxScans bounds the work that a small progressive JPEG can ask for.
	// Honest encoders use about ten.
	maxScans = 64
	// tallest is the greatest height of a rendition as a multiple of its width.
	tallest = 2
)

func (l PictureLimits) withDefaults() PictureLimits {
	l.Bytes = cmp.Or(l.Bytes, defaultBytes)
	l.Pixels = cmp.Or(l.Pixels, defaultPixels)
	if l.Widths == nil {
		l.Widths = []int{1200, 320}
	}
	return l
}

// Rendition is one stored size of a picture.
type Rendition struct {
	// Key is content-addressed: prefix/sha256.jpg or prefix/sha256.png.
	Key string
	// ContentType is image/jpeg, or image/png for pictures that can be seen through.
	ContentType string
	// Width and Height are in pixels.
	Width, Height int
	// Size is in bytes.
	Size int64
}

// PutPicture reads a picture that somebody sent, cleans it and stores its
// renditions below a prefix, in the order of the limits' widths. Smaller
// pictures are not blown up; equal renditions share a key. It returns
// ErrTooLarge, ErrNotPicture or ErrTooManyPixels for bad input.
func (s *Store) PutPicture(ctx context.Context, prefix string, r io.Reader, limits PictureLimits) ([]Rendition, error) {
	if err := validateKey(prefix); err != nil {
		return nil, err
	}
	limits = limits.withDefaults()
	data, err := io.ReadAll(io.LimitReader(r, limits.Bytes+1))
	if err != nil {
		return nil, fmt.Errorf("objectstore: read picture: %w", err)
	}
	if int64(len(data)) > limits.Bytes {
		return nil, fmt.Errorf("%w: more than %d", ErrTooLarge, limits.Bytes)
	}
	encoded, err := s.render(ctx, data, limits)
	if err != nil {
		return nil, err
	}
	renditions := make([]Rendition, len(encoded))
	for i, e := range encoded {
		if renditions[i], err = s.putEncoded(ctx, prefix, e); err != nil {
			return nil, err
		}
	}
	return renditions, nil
}

// encodedPicture is a rendition that is ready to store.
type encodedPicture struct {
	data          []byte
	contentType   string
	extension     string
	width, height int
}

func (s *Store) render(ctx context.Context, data []byte, limits PictureLimits) ([]encodedPicture, error) {
	select {
	case s.decoding <- struct{}{}:
		defer func() { <-s.decoding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	picture, err := decode(data, limits.Pixels)
	if err != nil {
		return nil, err
	}
	out := make([]encodedPicture, 0, len(limits.Widths))
	for _, width := range limits.Widths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := encode(scale(picture, width))
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func (s *Store) putEncoded(ctx context.Context, prefix string, e encodedPicture) (Rendition, error) {
	sum := sha256.Sum256(e.data)
	rendition := Rendition{
		Key:         prefix + "/" + hex.EncodeToString(sum[:]) + e.extension,
		ContentType: e.contentType, Width: e.width, Height: e.height, Size: int64(len(e.data)),
	}
	there, err := s.Exists(ctx, rendition.Key)
	if err != nil || there {
		return rendition, err
	}
	return rendition, s.Put(ctx, rendition.Key, e.contentType, bytes.NewReader(e.data), rendition.Size)
}

// format is a kind of picture that is accepted.
type format struct {
	magic  func([]byte) bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

func startsWith(magic string) func([]byte) bool {
	return func(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }
}

var formats = []format{
	{startsWith("\xff\xd8\xff"), jpeg.DecodeConfig, decodeJPEG},
	{startsWith("\x89PNG\r\n\x1a\n"), png.DecodeConfig, png.Decode},
	{startsWith("GIF8"), gif.DecodeConfig, gif.Decode}, // the first frame only
	{func(data []byte) bool {
		return len(data) > 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
	}, webp.DecodeConfig, webp.Decode},
}

// decode looks at the first bytes, not at what the sender says, and at the
// size before anything is unpacked.
func decode(data []byte, maxPixels int64) (image.Image, error) {
	for _, f := range formats {
		if !f.magic(data) {
			continue
		}
		config, err := f.config(bytes.NewReader(data))
		if err != nil || config.Width < 1 || config.Height < 1 {
			return nil, ErrNotPicture
		}
		if int64(config.Width) > maxPixels/int64(config.Height) {
			return nil, fmt.Errorf("%w: %d × %d", ErrTooManyPixels, config.Width, config.Height)
		}
		picture, err := f.decode(bytes.NewReader(data))
		if errors.Is(err, ErrTooManyPixels) {
			return nil, err
		}
		if err != nil {
			return nil, ErrNotPicture
		}
		return picture, nil
	}
	return nil, ErrNotPicture
}

// decodeJPEG also turns the picture as its camera was held: the note about
// that is lost with the other metadata.
func decodeJPEG(r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if bytes.Count(data, []byte{0xff, 0xda}) > maxScans {
		return nil, fmt.Errorf("%w: it is sent in too many scans", ErrTooManyPixels)
	}
	picture, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return upright(picture, orientation(data)), nil
}

// scale fits a picture into a width and twice that height; it never enlarges.
func scale(picture image.Image, width int) image.Image {
	b := picture.Bounds()
	w, h := b.Dx(), b.Dy()
	if w > width {
		w, h = width, max(1, h*width/w)
	}
	if h > width*tallest {
		w, h = max(1, w*width*tallest/h), width*tallest
	}
	scaled := image.NewNRGBA(image.Rect(0, 0, w, h))
	if w == b.Dx() && h == b.Dy() {
		draw.Draw(scaled, scaled.Bounds(), picture, b.Min, draw.Src)
		return scaled
	}
	draw.CatmullRom.Scale(scaled, scaled.Bounds(), picture, b, draw.Src, nil)
	return scaled
}

func encode(picture image.Image) (encodedPicture, error) {
	b := picture.Bounds()
	e := encodedPicture{contentType: "image/jpeg", extension: ".jpg", width: b.Dx(), height: b.Dy()}
	var buf bytes.Buffer
	var err error
	if opaque, ok := picture.(interface{ Opaque() bool }); ok && opaque.Opaque() {
		err = jpeg.Encode(&buf, picture, &jpeg.Options{Quality: jpegQuality})
	} else {
		e.contentType, e.extension = "image/png", ".png"
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&buf, picture)
	}
	if err != nil {
		return encodedPicture{}, fmt.Errorf("objectstore: encode picture: %w", err)
	}
	e.data = buf.Bytes()
	return e, nil
}
