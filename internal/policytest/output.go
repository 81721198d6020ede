package policytest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Failed is how many results are not as they should be.
func Failed(results []Result) int {
	n := 0
	for i := range results {
		if len(results[i].Failures) > 0 {
			n++
		}
	}
	return n
}

// Writers write results, by the name of the format.
var Writers = map[string]func(io.Writer, []Result) error{"text": WriteText, "json": WriteJSON, "junit": WriteJUnit}

// WriteText writes a line for each case, and an explanation of those that failed.
func WriteText(w io.Writer, results []Result) error {
	var b strings.Builder
	for i := range results {
		r := &results[i]
		if len(r.Failures) == 0 {
			fmt.Fprintf(&b, "ok    %s\n", r.Case.Name)
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s\n", r.Case.Name)
		for _, failure := range r.Failures {
			fmt.Fprintf(&b, "      %s\n", failure)
		}
		for line := range strings.Lines(r.Decision.Explanation()) {
			b.WriteString("        " + line)
		}
	}
	fmt.Fprintf(&b, "%d cases, %d failed\n", len(results), Failed(results))
	_, err := io.WriteString(w, b.String())
	return err
}

type jsonResult struct {
	Name     string   `json:"name"`
	OK       bool     `json:"ok"`
	Decision string   `json:"decision"`
	Rule     string   `json:"rule"`
	Message  string   `json:"message,omitempty"`
	Cause    string   `json:"cause,omitempty"`
	Actions  []any    `json:"actions"`
	Ack      []any    `json:"ack,omitempty"`
	Failures []string `json:"failures,omitempty"`
}

// WriteJSON writes a list with an object for each case.
func WriteJSON(w io.Writer, results []Result) error {
	list := make([]jsonResult, 0, len(results))
	for i := range results {
		r := &results[i]
		x := jsonResult{
			Name: r.Case.Name, OK: len(r.Failures) == 0, Decision: decision(r.Decision), Rule: r.Decision.Rule, Message: r.Decision.Message,
			Actions: actions(r.Decision), Failures: r.Failures,
		}
		if r.Decision.Cause != nil {
			x.Cause = r.Decision.Cause.Error()
		}
		if r.Decision.Acked {
			x.Ack = plain(r.Decision.Ack)
		}
		list = append(list, x)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(list)
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes a test suite in the XML that CI systems read.
func WriteJUnit(w io.Writer, results []Result) error {
	suite := junitSuite{Name: "policy", Tests: len(results), Failures: Failed(results)}
	for i := range results {
		r := &results[i]
		c := junitCase{Class: "policy " + r.Case.Namespace, Name: r.Case.Name}
		if len(r.Failures) > 0 {
			c.Failure = &junitFailure{strings.Join(r.Failures, "; "), r.Decision.Explanation()}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
