package expression

import (
	"errors"

	"cel.dev/cel-go/cel"
	"github.com/carillon-io/carillon/internal/celjson"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Arguments is a list of arguments to be sent: written as a list, or as one expression.
type Arguments struct {
	Items []Node
	Whole *Expression
}

// Event is the list of an event: its name, then the arguments.
func (t *Arguments) Event(name string, a *Activation) (args packet.Args, err error) {
	defer celjson.Cancelled(&err)
	if t.isClientsList() {
		return packet.NewEvent(name, a.Args), nil
	}
	w := newWriter(a)
	w.Literal("[")
	w.String(name)
	if err := t.write(&w, a, ","); err != nil {
		return packet.Args{}, err
	}
	w.Literal("]")
	return finish(&w)
}

// Ack is the list of an acknowledgement.
func (t *Arguments) Ack(a *Activation) (args packet.Args, err error) {
	defer celjson.Cancelled(&err)
	if t.isClientsList() && len(a.Args.JSON) > 0 {
		return a.Args, nil
	}
	w := newWriter(a)
	w.Literal("[")
	if err := t.write(&w, a, ""); err != nil {
		return packet.Args{}, err
	}
	w.Literal("]")
	return finish(&w)
}

func newWriter(a *Activation) celjson.Writer {
	w := celjson.Writer{Budget: &a.Budget}
	w.MaxDepth = a.MaxDepth
	return w
}

// finish returns what was written.
func finish(w *celjson.Writer) (packet.Args, error) {
	args, err := w.Args()
	if errors.Is(err, packet.ErrLimit) {
		err = Invalid("the arguments are nested too deep")
	}
	return args, err
}

// isClientsList reports whether the arguments are ${args} as a whole.
func (t *Arguments) isClientsList() bool {
	return t.Whole != nil && t.Whole.path != nil && t.Whole.path.isArgs()
}

// write writes the arguments, before before the first of them.
func (t *Arguments) write(w *celjson.Writer, a *Activation, before string) error {
	if t.Whole != nil {
		return t.Whole.writeArguments(w, a, before)
	}
	for i, item := range t.Items {
		if i > 0 {
			before = ","
		}
		w.Literal(before)
		if err := item.write(w, a); err != nil {
			return err
		}
	}
	return nil
}

// writeArguments writes the elements of a value that is a list, else the value.
func (e *Expression) writeArguments(w *celjson.Writer, a *Activation, before string) error {
	if e.path != nil {
		v, err := e.path.find(a)
		switch {
		case err != nil:
			return err
		case v.Text[0] == '[':
			w.Elements(before, v)
		default:
			w.Literal(before)
			w.Raw(v)
		}
		return nil
	}
	v, err := e.eval(a)
	if err != nil {
		return err
	}
	return w.Arguments(before, v)
}

// Node is one value of a list of arguments as it was written: JSON with templates in it.
type Node struct {
	literal string // JSON text, where nothing below is set
	text    *Template
	list    []Node
	members []memberNode
	kind    config.Kind
}

type memberNode struct {
	name string // quoted
	node Node
}

func (n *Node) write(w *celjson.Writer, a *Activation) error {
	switch {
	case n.text != nil:
		return n.text.write(w, a)
	case n.kind == config.List:
		w.Literal("[")
		for i := range n.list {
			if i > 0 {
				w.Literal(",")
			}
			if err := n.list[i].write(w, a); err != nil {
				return err
			}
		}
		w.Literal("]")
	case n.kind == config.Map:
		w.Literal("{")
		for i := range n.members {
			if i > 0 {
				w.Literal(",")
			}
			w.Literal(n.members[i].name)
			w.Literal(":")
			if err := n.members[i].node.write(w, a); err != nil {
				return err
			}
		}
		w.Literal("}")
	default:
		w.Literal(n.literal)
	}
	return nil
}

// write writes the template's value as JSON: of a whole one the expression's value, else a string.
func (t *Template) write(w *celjson.Writer, a *Activation) error {
	whole := t.Whole()
	switch {
	case whole == nil:
		text, err := t.Text(a)
		if err != nil {
			return err
		}
		w.String(text)
		return nil
	case whole.path != nil:
		v, err := whole.path.find(a)
		if err != nil {
			return err
		}
		w.Raw(v)
		return nil
	}
	v, err := whole.eval(a)
	if err != nil {
		return err
	}
	return w.Value(v)
}

// CompileNode compiles one value. Members keep the order they are written in.
func CompileNode(env *cel.Env, v config.Value) (Node, error) {
	switch v.Kind {
	case config.Bool, config.Int, config.Float:
		return Node{literal: v.Text}, nil
	case config.String:
		t, err := CompileTemplate(env, v.Text)
		if err != nil {
			return Node{}, err
		}
		if text, ok := t.Constant(); ok {
			return Node{literal: string(packet.AppendString(nil, text))}, nil
		}
		return Node{text: t}, nil
	case config.List:
		n := Node{kind: config.List}
		for _, element := range v.List {
			child, err := CompileNode(env, element)
			if err != nil {
				return Node{}, err
			}
			n.list = append(n.list, child)
		}
		return n, nil
	case config.Map:
		n := Node{kind: config.Map}
		for _, m := range v.Map {
			child, err := CompileNode(env, m.Value)
			if err != nil {
				return Node{}, err
			}
			n.members = append(n.members, memberNode{string(packet.AppendString(nil, m.Key)), child})
		}
		return n, nil
	}
	return Node{literal: "null"}, nil
}
