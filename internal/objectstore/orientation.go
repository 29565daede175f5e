package objectstore

import (
	"bytes"
	"encoding/binary"
	"image"

	"golang.org/x/image/draw"
)

// Ways in which a camera was held, as EXIF counts them; 1 is upright.
const (
	orientNormal     = 1
	orientMirror     = 2
	orientHalf       = 3
	orientFlip       = 4
	orientTranspose  = 5
	orientRight      = 6
	orientTransverse = 7
	orientLeft       = 8
)

// orientation reads the EXIF note of a JPEG. Anything odd is upright: a
// picture that lies on its side is better than none.
func orientation(data []byte) int {
	const (
		startOfScan = 0xda
		app1        = 0xe1
	)
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		marker, length := data[at+1], int(binary.BigEndian.Uint16(data[at+2:]))
		end := at + 2 + length
		if marker == startOfScan || length < 2 || end > len(data) {
			break
		}
		if tiff, ok := bytes.CutPrefix(data[at+4:end], []byte("Exif\x00\x00")); ok && marker == app1 {
			return tiffOrientation(tiff)
		}
		at = end
	}
	return orientNormal
}

func tiffOrientation(tiff []byte) int {
	const (
		headerLen      = 8
		entryLen       = 12
		tagOrientation = 0x0112
		typeShort      = 3
	)
	if len(tiff) < headerLen {
		return orientNormal
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(tiff[:2]) == "MM" {
		order = binary.BigEndian
	}
	start := uint64(order.Uint32(tiff[4:]))
	if start+2 > uint64(len(tiff)) {
		return orientNormal
	}
	entries := tiff[start+2:]
	for range order.Uint16(tiff[start:]) {
		if len(entries) < entryLen {
			break
		}
		if order.Uint16(entries) == tagOrientation && order.Uint16(entries[2:]) == typeShort {
			if n := int(order.Uint16(entries[8:])); n >= orientNormal && n <= orientLeft {
				return n
			}
		}
		entries = entries[entryLen:]
	}
	return orientNormal
}

// upright turns and mirrors a picture so that it needs no note.
func upright(picture image.Image, how int) image.Image {
	if how == orientNormal {
		return picture
	}
	b := picture.Bounds()
	from := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(from, from.Bounds(), picture, b.Min, draw.Src)
	w, h := b.Dx(), b.Dy()
	size := image.Rect(0, 0, w, h)
	if how >= orientTranspose {
		size = image.Rect(0, 0, h, w)
	}
	to := image.NewNRGBA(size)
	for y := range h {
		for x := range w {
			tx, ty := turned(how, x, y, w, h)
			copy(to.Pix[to.PixOffset(tx, ty):][:4], from.Pix[from.PixOffset(x, y):][:4])
		}
	}
	return to
}

// turned tells where a pixel of a w × h picture goes.
func turned(how, x, y, w, h int) (tx, ty int) {
	switch how {
	case orientMirror:
		return w - 1 - x, y
	case orientHalf:
		return w - 1 - x, h - 1 - y
	case orientFlip:
		return x, h - 1 - y
	case orientTranspose:
		return y, x
	case orientRight:
		return h - 1 - y, x
	case orientTransverse:
		return h - 1 - y, w - 1 - x
	case orientLeft:
		return y, w - 1 - x
	default:
		return x, y
	}
}
