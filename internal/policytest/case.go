package policytest

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is a file of cases. Its keys are the names of the fields in lower case, here and below.
type File struct {
	Config string // the configuration that is tested, beside the file
	Cases  []Case
}

// Case is a client, one thing it does, and what should be decided. Exactly one of Connect, Event and Disconnect is set.
type Case struct {
	Name string

	Namespace string // default /
	SID       string // default DefaultSID
	IP        string // default 192.0.2.1
	Headers   map[string]string
	Query     map[string]string
	Auth      map[string]any // what came with CONNECT
	Claims    map[string]any // those of a verified token
	Token     string         // instead of claims: is verified with the configuration's keys
	Rooms     []string       // it is in

	Connect    bool
	Event      string
	Args       []any
	Times      int    // how often the event is sent; the last decision counts; default 1
	Disconnect string // the reason

	Want Want
}

// DefaultSID is the socket's id where a case names none.
const DefaultSID = "test0123456789ABCDEF"

// Want is what should be decided. What is not set is not compared. In YAML a text alone is the decision.
type Want struct {
	Decision string // allowed, or the code of a refusal
	Rule     string
	Message  string
	Actions  *[]map[string]any // as in a configuration, without templates; all of them, in order
	Ack      *[]any
}

// Decisions are what Want.Decision may be.
var decisions = []string{
	"allowed", "denied", "invalid", "overloaded", "unavailable", "token_missing", "token_invalid", "token_expired",
}

// UnmarshalYAML takes a text as the decision.
func (w *Want) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&w.Decision)
	}
	if n.Kind == yaml.MappingNode {
		var unknown []string
		for i := 0; i < len(n.Content); i += 2 {
			if key := n.Content[i]; !slices.Contains(wantFields, key.Value) {
				unknown = append(unknown, fmt.Sprintf("line %d: want has no field %q, only %s", key.Line, key.Value, strings.Join(wantFields, ", ")))
			}
		}
		if unknown != nil {
			return &yaml.TypeError{Errors: unknown}
		}
	}
	type plain Want
	return n.Decode((*plain)(w))
}

var wantFields = []string{"decision", "rule", "message", "actions", "ack"}

// unknownField and wrongType are faults in the words of the YAML package, which name types of this one.
var (
	unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongType    = regexp.MustCompile("cannot unmarshal (!!\\S+ `.*`|!!\\S+) into (.+)")
)

// forms are what the types of fields are called in a file.
var forms = map[string]string{
	"!!seq": "a list", "!!map": "names and values",
	"bool": "true or false", "int": "a number", "string": "text", "[]string": "a list of texts", "[]interface {}": "a list",
	"map[string]string": "names and texts", "map[string]interface {}": "names and values", "[]map[string]interface {}": "a list of actions",
	"policytest.File": "config and cases", "[]policytest.Case": "a list of cases", "policytest.Case": "a case", "policytest.plain": "a decision or fields of want",
}

// readable returns the error with the faults of a file in words for its author.
func readable(err error) error {
	var faults *yaml.TypeError
	if !errors.As(err, &faults) {
		return err
	}
	lines := make([]string, len(faults.Errors))
	for i, fault := range faults.Errors {
		fault = unknownField.ReplaceAllString(fault, "unknown field $1")
		lines[i] = wrongType.ReplaceAllStringFunc(fault, func(text string) string {
			m := wrongType.FindStringSubmatch(text)
			_, value, isText := strings.Cut(m[1], " ")
			switch {
			case !isText:
				value = forms[m[1]]
			case m[2] == "policytest.File":
				value = "text" // perhaps a file with a password
			}
			return fmt.Sprintf("expected %s, not %s", forms[m[2]], value)
		})
	}
	return errors.New(strings.Join(lines, "\n"))
}

// Read reads a file of cases. The error names every case that is wrong.
func Read(r io.Reader) (File, error) {
	var f File
	decoder := yaml.NewDecoder(r)
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("no cases")
		}
		return f, readable(err)
	}
	if len(f.Cases) == 0 {
		return f, errors.New("no cases")
	}
	var faults []error
	for i := range f.Cases {
		c := &f.Cases[i]
		c.setDefaults(i)
		if err := c.check(); err != nil {
			faults = append(faults, fmt.Errorf("case %d, %s: %w", i+1, c.Name, err))
		}
	}
	return f, errors.Join(faults...)
}

func (c *Case) setDefaults(i int) {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&c.Namespace, "/")
	set(&c.SID, DefaultSID)
	set(&c.IP, "192.0.2.1")
	switch {
	case c.Connect:
		set(&c.Name, fmt.Sprintf("%d connect to %s", i+1, c.Namespace))
	case c.Disconnect != "":
		set(&c.Name, fmt.Sprintf("%d disconnect from %s", i+1, c.Namespace))
	default:
		set(&c.Name, fmt.Sprintf("%d %s in %s", i+1, c.Event, c.Namespace))
	}
	if c.Times == 0 {
		c.Times = 1
	}
}

// maxTimes bounds what a slip of the finger costs.
const maxTimes = 10_000

func (c *Case) check() error {
	kinds := 0
	for _, set := range []bool{c.Connect, c.Event != "", c.Disconnect != ""} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("needs exactly one of connect: true, event and disconnect")
	case c.Event == "" && c.Args != nil:
		return errors.New("args belong to an event")
	case !strings.HasPrefix(c.Namespace, "/"):
		return fmt.Errorf("namespace %q does not begin with /", c.Namespace)
	case c.Token != "" && c.Claims != nil:
		return errors.New("token and claims exclude each other")
	case c.Times < 0 || c.Times > maxTimes:
		return fmt.Errorf("times must be from 1 to %d", maxTimes)
	case !slices.Contains(decisions, c.Want.Decision):
		return fmt.Errorf("want.decision %q is none of %s", c.Want.Decision, strings.Join(decisions, ", "))
	}
	return nil
}
