package catalog

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"strconv"
	"strings"

	"golang.org/x/image/vector"
)

const (
	side    = 480 // pixels of a picture
	canvas  = 100 // units of a shape's coordinates
	quality = 88
)

// Colors by the names the catalog uses; "" is the color of products without one.
var paints = map[string]color.RGBA{
	"":        {0x8a, 0x6f, 0x55, 0xff},
	"Amber":   {0xd1, 0x8b, 0x2c, 0xff},
	"Black":   {0x33, 0x36, 0x3b, 0xff},
	"Blue":    {0x3d, 0x63, 0x8c, 0xff},
	"Brass":   {0xb8, 0x93, 0x4a, 0xff},
	"Grey":    {0x8d, 0x92, 0x99, 0xff},
	"Moss":    {0x6b, 0x7d, 0x4f, 0xff},
	"Natural": {0xc7, 0xa0, 0x72, 0xff},
	"Sand":    {0xd3, 0xb9, 0x92, 0xff},
	"Smoke":   {0x75, 0x7b, 0x85, 0xff},
	"White":   {0xee, 0xeb, 0xe4, 0xff},
	"Zinc":    {0x9f, 0xa8, 0xad, 0xff},
}

// A part of a picture: how dark its paint is, and its outline. Outlines are
// written like this: "M x y" moves, "L x y" draws a line, "Q x1 y1 x y" a curve,
// "E cx cy rx ry" an ellipse, "R x y w h" a rectangle.
type part struct {
	shade float64
	path  string
}

var shapes = map[string][]part{
	"backpack":  {{0.8, "R 38 18 24 10"}, {1, "M 28 34 Q 28 22 50 22 Q 72 22 72 34 L 76 80 Q 76 86 70 86 L 30 86 Q 24 86 24 80"}, {0.8, "R 34 54 32 22"}, {1.15, "R 28 34 44 6"}},
	"bag":       {{0.8, "M 36 44 Q 36 18 50 18 Q 64 18 64 44 L 60 44 Q 60 22 50 22 Q 40 22 40 44"}, {1, "M 22 40 L 78 40 L 72 86 L 28 86"}, {0.85, "R 22 40 56 5"}},
	"board":     {{0.8, "R 18 34 66 44"}, {1, "R 16 31 66 44"}, {0.75, "E 74 53 3 3"}, {1.1, "R 22 40 44 2"}, {1.1, "R 22 52 40 2"}, {1.1, "R 22 64 44 2"}},
	"book":      {{0.7, "R 30 20 44 62"}, {1.5, "R 29 22 42 60"}, {1, "R 26 18 44 62"}, {0.75, "R 26 18 7 62"}, {1.3, "R 40 32 22 8"}},
	"bookend":   {{1, "M 26 24 L 34 24 L 34 74 L 60 74 L 60 80 L 26 80"}, {0.75, "R 38 30 9 44"}, {1.2, "R 48 36 8 38"}, {0.9, "R 57 28 10 46"}, {0.8, "R 70 24 6 56"}},
	"bottle":    {{0.6, "R 43 14 14 10"}, {1, "M 40 26 L 60 26 Q 66 32 66 42 L 66 82 Q 66 88 60 88 L 40 88 Q 34 88 34 82 L 34 42 Q 34 32 40 26"}, {1.2, "R 39 44 4 36"}},
	"bowl":      {{1, "M 16 44 L 84 44 Q 82 80 58 82 L 42 82 Q 18 80 16 44"}, {0.75, "E 50 44 34 8"}, {1.25, "E 50 43 30 5"}},
	"box":       {{1, "R 22 40 56 42"}, {0.85, "R 18 30 64 13"}, {0.55, "R 46 30 8 52"}, {0.55, "E 42 25 9 6"}, {0.55, "E 58 25 9 6"}},
	"can":       {{0.8, "M 66 50 L 90 28 L 93 31 L 68 62"}, {0.8, "M 30 46 Q 30 22 48 22 Q 64 22 64 46 L 59 46 Q 59 27 48 27 Q 35 27 35 46"}, {1, "M 24 44 L 68 44 L 72 82 L 20 82"}, {1.15, "R 24 44 44 4"}},
	"chair":     {{0.7, "M 30 60 L 35 60 L 30 90 L 26 90"}, {0.7, "M 66 60 L 71 60 L 76 90 L 72 90"}, {1, "M 28 16 Q 50 10 72 16 L 69 48 Q 50 44 31 48"}, {0.8, "R 33 46 4 16"}, {0.8, "R 63 46 4 16"}, {1.1, "M 24 56 Q 50 50 76 56 L 78 66 L 22 66"}},
	"clock":     {{0.75, "E 50 50 34 34"}, {1.6, "E 50 50 29 29"}, {0.4, "R 49 28 2.6 23"}, {0.4, "R 49 49 17 2.6"}, {0.4, "E 50 50 3 3"}, {0.6, "R 49 23 2 4"}, {0.6, "R 49 73 2 4"}, {0.6, "R 23 49 4 2"}, {0.6, "R 73 49 4 2"}},
	"cushion":   {{0.85, "M 20 26 Q 50 32 80 24 Q 74 52 82 80 Q 50 73 18 82 Q 26 52 20 26"}, {1, "M 23 29 Q 50 35 77 28 Q 71 52 78 76 Q 50 70 22 78 Q 29 52 23 29"}, {1.15, "E 44 46 12 8"}},
	"floorlamp": {{0.6, "E 46 88 20 3"}, {0.7, "R 45 20 2.6 68"}, {0.7, "M 46 20 L 66 16 L 66 19 L 46 23"}, {1, "M 58 18 L 76 18 L 82 36 L 52 36"}, {1.7, "E 67 36 15 2.5"}},
	"knife":     {{1.5, "M 14 52 Q 30 40 58 44 L 58 58 L 24 58 Q 17 57 14 52"}, {0.7, "M 58 44 L 86 46 Q 90 51 86 57 L 58 58"}, {1.2, "E 68 51 1.6 1.6"}, {1.2, "E 79 51.5 1.6 1.6"}},
	"lamp":      {{0.7, "E 50 86 20 4"}, {0.75, "M 46 52 L 54 52 L 56 86 L 44 86"}, {1.1, "M 36 20 L 64 20 L 78 54 L 22 54"}, {1.6, "E 50 54 28 4"}},
	"mug":       {{0.85, "E 72 52 14 15"}, {1.9, "E 72 52 8 9"}, {1, "M 24 32 L 72 32 L 70 78 Q 69 84 62 84 L 34 84 Q 27 84 26 78"}, {0.75, "E 48 32 24 5"}, {0.45, "E 48 33 20 3.4"}},
	"pan":       {{0.6, "M 64 50 L 92 44 L 93 50 L 66 58"}, {0.7, "E 42 54 32 24"}, {1, "E 42 50 32 24"}, {0.6, "E 42 50 27 20"}, {0.8, "E 38 46 12 7"}},
	"pen":       {{1, "M 22 74 L 70 22 L 78 30 L 30 82"}, {0.6, "M 22 74 L 30 82 L 16 88"}, {1.3, "M 62 31 L 70 22 L 78 30 L 70 39"}, {0.75, "M 26 76 L 66 32 L 68 34 L 28 78"}},
	"pendant":   {{0.5, "R 49.4 4 1.4 34"}, {0.7, "R 45 36 10 7"}, {1, "M 42 42 L 58 42 Q 80 50 80 68 Q 80 82 50 82 Q 20 82 20 68 Q 20 50 42 42"}, {1.4, "E 50 76 24 5"}, {1.25, "E 36 60 5 9"}},
	"plant":     {{0.95, "M 30 58 L 70 58 L 64 88 L 36 88"}, {0.8, "R 27 53 46 8"}, {2, "M 49 54 Q 24 48 24 20 Q 46 26 50 54"}, {2, "M 50 54 Q 48 22 66 10 Q 74 34 52 54"}, {2, "M 52 54 Q 62 36 82 34 Q 78 54 54 55"}},
	"plate":     {{0.75, "E 50 56 40 22"}, {1, "E 50 53 40 22"}, {0.85, "E 50 53 28 14"}, {1.1, "E 50 53 26 12.6"}},
	"shears":    {{1.5, "M 46 54 Q 40 26 60 12 Q 64 36 54 54"}, {1.3, "M 54 54 Q 52 30 36 18 Q 38 40 46 56"}, {1, "M 46 52 L 54 52 L 70 88 L 62 90"}, {0.85, "M 46 52 L 54 52 L 38 90 L 30 88"}, {0.5, "E 50 54 4 4"}},
	"spoon":     {{1, "E 36 26 10 14"}, {0.85, "R 34 38 4.6 48"}, {1.1, "E 64 26 10 14"}, {0.95, "R 62 38 4.6 48"}, {1.9, "R 63 14 2 14"}},
	"stool":     {{0.75, "M 28 40 L 34 40 L 28 88 L 23 88"}, {0.75, "M 66 40 L 72 40 L 77 88 L 72 88"}, {0.65, "R 47.5 44 5 42"}, {0.8, "E 50 38 32 8"}, {1.1, "E 50 34 32 8"}},
	"teapot":    {{0.8, "M 68 50 Q 82 50 88 32 L 93 34 Q 88 62 70 64"}, {0.8, "E 22 54 12 14"}, {1.9, "E 22 54 7 9"}, {1, "E 48 58 30 25"}, {0.85, "E 48 35 16 5"}, {0.7, "E 48 28 4 4"}, {1.2, "E 38 50 6 8"}},
	"textile":   {{0.8, "M 20 30 Q 50 24 82 30 L 82 76 Q 50 82 20 76"}, {1, "M 20 30 Q 50 24 82 30 L 82 44 Q 50 38 20 44"}, {1.2, "M 20 48 Q 50 42 82 48 L 82 52 Q 50 46 20 52"}, {1.2, "M 20 60 Q 50 54 82 60 L 82 64 Q 50 58 20 64"}, {0.9, "R 20 76 62 3"}},
	"torch":     {{0.8, "M 26 40 L 34 34 L 34 66 L 26 60"}, {1.9, "E 26 50 4 12"}, {1, "R 34 36 14 28"}, {0.85, "R 48 41 38 18"}, {1.3, "R 58 46 10 4"}, {0.7, "R 84 43 4 14"}},
	"trowel":    {{1.3, "M 36 58 Q 20 44 24 22 Q 46 20 56 40 Q 52 54 36 58"}, {0.8, "M 46 46 L 52 42 L 66 60 L 61 64"}, {1, "M 60 58 L 67 56 L 86 80 Q 86 88 80 87 L 62 66"}},
}

// draw returns a JPEG of a motif before a soft background. The same motif is the same picture.
func draw(m motif) ([]byte, error) {
	parts, ok := shapes[m.kind]
	if !ok {
		return nil, fmt.Errorf("catalog: no shape for %q", m.kind)
	}
	paint, ok := paints[m.color]
	if !ok {
		return nil, fmt.Errorf("catalog: no paint for %q", m.color)
	}
	picture := image.NewRGBA(image.Rect(0, 0, side, side))
	background(picture)
	if err := fill(picture, "E 50 90 36 4", color.RGBA{0xc9, 0xc3, 0xb8, 0xff}); err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := fill(picture, p.path, shade(paint, p.shade)); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	err := jpeg.Encode(&out, picture, &jpeg.Options{Quality: quality})
	return out.Bytes(), err
}

// background is a wall that gets a little darker towards the floor.
func background(picture *image.RGBA) {
	for y := range side {
		dark := uint8(y * 18 / side)
		for x := range side {
			picture.SetRGBA(x, y, color.RGBA{0xf4 - dark, 0xf0 - dark, 0xe8 - dark, 0xff})
		}
	}
}

// shade makes a color darker below 1 and lighter above; 2 is a leaf's green.
func shade(c color.RGBA, by float64) color.RGBA {
	if by >= 2 {
		return color.RGBA{0x5d, 0x7f, 0x4e, 0xff}
	}
	mix := func(v uint8) uint8 {
		f := float64(v)
		if by <= 1 {
			return uint8(f * by)
		}
		return uint8(f + (250-f)*(by-1))
	}
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

func fill(picture *image.RGBA, path string, paint color.RGBA) error {
	raster := vector.NewRasterizer(side, side)
	if err := trace(raster, path); err != nil {
		return err
	}
	raster.Draw(picture, picture.Bounds(), image.NewUniform(paint), image.Point{})
	return nil
}

// trace turns an outline into closed curves.
func trace(raster *vector.Rasterizer, path string) error {
	words := strings.Fields(path)
	arity := map[string]int{"M": 2, "L": 2, "Q": 4, "E": 4, "R": 4}
	for len(words) > 0 {
		command, n := words[0], arity[words[0]]
		if n == 0 || len(words) <= n {
			return fmt.Errorf("catalog: outline %q", path)
		}
		var v [4]float32
		for i := range n {
			f, err := strconv.ParseFloat(words[1+i], 32)
			if err != nil {
				return fmt.Errorf("catalog: outline %q: %w", path, err)
			}
			v[i] = float32(f) * side / canvas
		}
		switch command {
		case "M":
			raster.MoveTo(v[0], v[1])
		case "L":
			raster.LineTo(v[0], v[1])
		case "Q":
			raster.QuadTo(v[0], v[1], v[2], v[3])
		case "E":
			ellipse(raster, v[0], v[1], v[2], v[3])
		case "R":
			raster.MoveTo(v[0], v[1])
			raster.LineTo(v[0]+v[2], v[1])
			raster.LineTo(v[0]+v[2], v[1]+v[3])
			raster.LineTo(v[0], v[1]+v[3])
		}
		words = words[1+n:]
	}
	raster.ClosePath()
	return nil
}

// ellipse draws four cubic curves, whose error is below a pixel.
func ellipse(raster *vector.Rasterizer, cx, cy, rx, ry float32) {
	k := float32(4.0 / 3.0 * (math.Sqrt2 - 1))
	raster.MoveTo(cx+rx, cy)
	raster.CubeTo(cx+rx, cy+k*ry, cx+k*rx, cy+ry, cx, cy+ry)
	raster.CubeTo(cx-k*rx, cy+ry, cx-rx, cy+k*ry, cx-rx, cy)
	raster.CubeTo(cx-rx, cy-k*ry, cx-k*rx, cy-ry, cx, cy-ry)
	raster.CubeTo(cx+k*rx, cy-ry, cx+rx, cy-k*ry, cx+rx, cy)
}
