package plot

import (
	"fmt"
	"math"
	"strings"
)

// Series is one line.
type Series struct {
	Name   string
	Points []Point
}

// Point is one measurement.
type Point struct{ X, Y float64 }

const (
	height = 340
	left   = 76
	right  = 120
	top    = 52
	bottom = 56
)

// Lines draws series over a logarithmic x axis and a y axis that begins at zero.
func Lines(title, x, y string, series []Series) []byte {
	c := &canvas{}
	first, last, highest := math.Inf(1), math.Inf(-1), 0.0
	for _, s := range series {
		for _, p := range s.Points {
			first, last, highest = min(first, p.X), max(last, p.X), max(highest, p.Y)
		}
	}
	step := niceStep(highest)
	ceiling := max(math.Ceil(highest/step), 1) * step
	span := max(math.Log(last/first), 1e-9)
	atX := func(v float64) float64 { return left + math.Log(v/first)/span*(width-left-right) }
	atY := func(v float64) float64 { return height - bottom - v/ceiling*(height-top-bottom) }
	for i := range int(math.Round(ceiling/step)) + 1 {
		v := float64(i) * step
		c.printf("<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/>\n", left, atY(v), width-right)
		c.text(left-8, int(atY(v))+4, "end", "", fmt.Sprintf("%.4g", v))
	}
	marked := make(map[float64]bool)
	for _, s := range series {
		for _, p := range s.Points {
			if !marked[p.X] {
				marked[p.X] = true
				c.text(int(atX(p.X)), height-bottom+20, "middle", "", Thousands(p.X))
			}
		}
	}
	c.text((left+width-right)/2, height-12, "middle", "", x)
	c.text(16, top-12, "start", "", y)
	taken := []float64{} // where names of lines stand already
	for _, s := range series {
		var path strings.Builder
		for i, p := range s.Points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], atX(p.X), atY(p.Y))
			c.printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", atX(p.X), atY(p.Y), colour(s.Name))
		}
		c.printf("<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path.String(), colour(s.Name))
		if n := len(s.Points); n > 0 {
			at := free(atY(s.Points[n-1].Y), taken)
			taken = append(taken, at)
			c.text(width-right+10, int(at)+4, "start", "", s.Name)
		}
	}
	return c.document(title, height)
}

// free moves a name up until it covers none of the others.
func free(at float64, taken []float64) float64 {
	for moved := true; moved; {
		moved = false
		for _, t := range taken {
			if math.Abs(at-t) < 14 {
				at, moved = t-14, true
			}
		}
	}
	return at
}

// niceStep divides what is up to highest into about five steps of 1, 2 or 5 times a power of ten.
func niceStep(highest float64) float64 {
	if highest <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(highest/5)))
	for _, m := range []float64{1, 2, 5} {
		if highest/(m*power) <= 6 {
			return m * power
		}
	}
	return 10 * power
}

// Thousands writes a whole number with commas.
func Thousands(v float64) string {
	digits := fmt.Sprintf("%.0f", math.Abs(v))
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
