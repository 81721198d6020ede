package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxNodes bounds a document with its aliases replaced: a few lines of aliases of aliases can stand for billions.
	maxNodes = 100_000
	// maxNesting is beyond any configuration a person writes, and keeps recursion harmless.
	maxNesting = 64
)

// parseDocument returns the root of the only YAML document in content, aliases replaced by what they stand for; nil
// when there is nothing in it.
func parseDocument(content []byte) (*yaml.Node, *Fault) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxError(content, err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, &Fault{Line: second.Line, Message: "a second document; a configuration is one YAML document"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(content, err)
	}
	if len(document.Content) == 0 || isNull(document.Content[0]) {
		return nil, nil
	}
	if fault := refuseTags(bytes.Split(content, []byte("\n")), document.Content[0]); fault != nil {
		return nil, fault
	}
	budget := maxNodes
	return expand(document.Content[0], &budget, 0)
}

// refuseTags refuses YAML's tags, of which nothing here has need: in an expression without quotation marks they swallow
// the negation, so that "if: ! claims.banned" would let in exactly the banned. A lone ! leaves no trace in a node but
// its position.
func refuseTags(lines [][]byte, n *yaml.Node) *Fault {
	tagged := n.Style&yaml.TaggedStyle != 0
	if n.Line > 0 && n.Line <= len(lines) {
		text := []rune(string(lines[n.Line-1]))
		tagged = tagged || n.Column > 0 && n.Column <= len(text) && text[n.Column-1] == '!'
	}
	if tagged {
		return &Fault{Line: n.Line, Message: "YAML tags are not supported; text that begins with ! needs quotation marks"}
	}
	for _, child := range n.Content {
		if fault := refuseTags(lines, child); fault != nil {
			return fault
		}
	}
	return nil
}

// yamlPosition is how the YAML package begins its messages.
var yamlPosition = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parserMessage is a message of the YAML package's parser. Unlike its scanner, the parser counts lines from 0.
var parserMessage = regexp.MustCompile(`^did not find expected (?:key|node content|'-'|',' or|<)`)

func syntaxError(content []byte, err error) *Fault {
	message := strings.ReplaceAll(err.Error(), "\n", " ")
	if strings.Contains(message, "anchor '") {
		// The message repeats the text, which may be a password that begins with * or &.
		return &Fault{Message: "not YAML: unknown anchor; text that begins with * needs quotation marks"}
	}
	position := yamlPosition.FindStringSubmatch(message)
	if position == nil {
		return &Fault{Message: "not YAML: " + message}
	}
	// Without a line the number is empty and stands for none.
	line, _ := strconv.Atoi(position[1])
	message = message[len(position[0]):]
	if parserMessage.MatchString(message) {
		last := 1 + bytes.Count(bytes.TrimRight(content, "\n"), []byte("\n"))
		line = min(line+1, last)
	}
	return &Fault{Line: line, Message: "not YAML: " + message}
}

// expand copies the tree below n with every alias replaced.
func expand(n *yaml.Node, budget *int, depth int) (*yaml.Node, *Fault) {
	*budget--
	if *budget < 0 {
		return nil, &Fault{Line: n.Line, Message: "the document is too large"}
	}
	if depth > maxNesting {
		// An anchor that contains its own alias ends here as well.
		return nil, &Fault{Line: n.Line, Message: "nested too deeply"}
	}
	if n.Kind == yaml.AliasNode {
		return expand(n.Alias, budget, depth+1)
	}
	if len(n.Content) == 0 {
		return n, nil
	}
	expanded := *n
	expanded.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		var fault *Fault
		if expanded.Content[i], fault = expand(child, budget, depth+1); fault != nil {
			return nil, fault
		}
	}
	return &expanded, nil
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
