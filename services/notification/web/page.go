package web

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
)

// view is what the page shows.
type view struct {
	Style    template.CSS
	Messages []message
}

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#1c1c1a;background:#fff}
article{border:1px solid #ddd;border-radius:8px;padding:1rem;margin:1rem 0}h2{font-size:1.1rem;margin:0}p{margin:.2rem 0;color:#555}
pre{white-space:pre-wrap;overflow-wrap:anywhere}@media(prefers-color-scheme:dark){body{background:#191917;color:#eee}article{border-color:#444}p{color:#bbb}a{color:#8cc}}`

// styleHash lets the page's own style pass its content security policy.
var styleHash = func() string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

var page = template.Must(template.New("inbox").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Captured mail</title><style>{{.Style}}</style></head>
<body><h1>Captured mail</h1><p>In development no mail leaves this machine.</p>
{{range .Messages}}<article><h2>{{.Subject}}</h2><p>to {{.To}} at <time datetime="{{.SentTime}}">{{.SentTime}}</time></p><pre>{{.Text}}</pre>
{{range .Links}}<p><a href="{{.}}">{{.}}</a></p>{{end}}</article>{{else}}<p>There is none yet.</p>{{end}}
</body></html>
`))
