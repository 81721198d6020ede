package plot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/bench/plot"
)

// elements counts the elements of a well-formed document by name.
func elements(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok {
			counts[start.Name.Local]++
		}
	}
}

func TestBars_DrawsABarForEachValueInProportion(t *testing.T) {
	svg := plot.Bars("a < b", []plot.Group{
		{Title: "rate", Bars: []plot.Bar{{Name: "Node", Value: 10, Label: "10"}, {Name: "Carillon", Value: 100, Low: 90, High: 100, Label: "100"}}},
		{Title: "nothing", Bars: []plot.Bar{{Name: "Node", Label: "0"}}},
	})
	if got := elements(t, svg); got["rect"] != 4 || got["path"] != 1 { // with the background
		t.Errorf("elements %v", got)
	}
	for _, part := range []string{`width="51.0"`, `width="510.0"`, "a &lt; b"} {
		if !strings.Contains(string(svg), part) {
			t.Errorf("no %s in\n%s", part, svg)
		}
	}
}

func TestLines_SpreadsPowersOfTenEvenly(t *testing.T) {
	svg := string(plot.Lines("growth", "connections", "cost", []plot.Series{
		{Name: "Node", Points: []plot.Point{{X: 10, Y: 5}, {X: 100, Y: 10}, {X: 1000, Y: 0}}},
		{Name: "empty"},
	}))
	if got := elements(t, []byte(svg)); got["circle"] != 3 {
		t.Errorf("elements %v", got)
	}
	for _, x := range []string{`cx="76.0"`, `cx="358.0"`, `cx="640.0"`} {
		if !strings.Contains(svg, x) {
			t.Errorf("no point at %s in\n%s", x, svg)
		}
	}
}

func TestLines_DrawsNothingAndOnePoint(t *testing.T) {
	elements(t, plot.Lines("none", "", "", nil))
	svg := plot.Lines("one", "", "", []plot.Series{{Name: "a", Points: []plot.Point{{X: 5, Y: 0}}}})
	elements(t, svg)
	if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
		t.Errorf("not a number in\n%s", svg)
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.6: "1,234,568", -4321: "-4,321"} {
		if got := plot.Thousands(v); got != want {
			t.Errorf("%v is %s, not %s", v, got, want)
		}
	}
}
