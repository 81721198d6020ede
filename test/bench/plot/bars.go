package plot

import (
	"fmt"
	"slices"
)

// Group is bars that are compared with each other and with no others.
type Group struct {
	Title string
	Bars  []Bar
}

// Bar is a value and the mark of its extremes; a bar with Low equal to High has none.
type Bar struct {
	Name             string
	Value, Low, High float64
	Label            string // the value as text
}

const (
	width     = 760
	nameWidth = 120
	textWidth = 130 // right of the longest bar
	barHeight = 16
	barGap    = 4
	groupGap  = 34
)

// Bars draws each group with a scale of its own, from zero.
func Bars(title string, groups []Group) []byte {
	c := &canvas{}
	y := 48
	for _, g := range groups {
		c.text(16, y, "start", "group", g.Title)
		y += 8
		highest := 0.0
		for _, b := range g.Bars {
			highest = max(highest, b.Value, b.High)
		}
		scale := float64(width-nameWidth-textWidth) / max(highest, 1e-300)
		for _, b := range g.Bars {
			length := b.Value * scale
			middle := y + barHeight/2
			c.text(nameWidth-8, middle+4, "end", "", b.Name)
			c.printf("<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
				nameWidth, y, max(length, 1), barHeight, colour(b.Name))
			end := max(length, b.High*scale)
			if b.High > b.Low {
				c.printf("<path d=\"M%.1f %dH%.1f\" stroke=\"#222\"/>\n",
					float64(nameWidth)+b.Low*scale, middle, float64(nameWidth)+b.High*scale)
			}
			c.text(nameWidth+int(end)+6, middle+4, "start", "", b.Label)
			y += barHeight + barGap
		}
		y += groupGap - barGap
	}
	return c.document(title, y-groupGap/2)
}

// colours go by name, so that a name has the same one in every chart.
var colours = []struct{ name, colour string }{
	{"Node", "#c0504d"},
	{"gorilla", "#b8a13c"},
	{"epoll", "#7f7f7f"},
	{"Carillon", "#2f6fb5"},
}

func colour(name string) string {
	i := slices.IndexFunc(colours, func(c struct{ name, colour string }) bool { return c.name == name })
	if i < 0 {
		// Names that are no server's: lines of one chart, told apart by the sum of their letters.
		sum := 0
		for _, r := range name {
			sum += int(r)
		}
		return fmt.Sprintf("hsl(%d,55%%,40%%)", sum*47%360)
	}
	return colours[i].colour
}
