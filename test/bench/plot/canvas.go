package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// canvas collects the elements of a picture.
type canvas struct{ body bytes.Buffer }

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.body, format, args...) }

func (c *canvas) text(x, y int, anchor, class, s string) {
	c.printf("<text x=\"%d\" y=\"%d\" text-anchor=\"%s\"", x, y, anchor)
	if class != "" {
		c.printf(" class=\"%s\"", class)
	}
	c.printf(">%s</text>\n", escape(s))
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

func (c *canvas) document(title string, height int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", width, height, width, height)
	b.WriteString("<style>text{font:12px sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}.group{font-weight:bold}</style>\n")
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height) // readable on dark pages too
	fmt.Fprintf(&b, "<text x=\"16\" y=\"24\" class=\"title\">%s</text>\n", escape(title))
	b.Write(c.body.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}
