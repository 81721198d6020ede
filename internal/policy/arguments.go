package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// arguments is a list of arguments to be sent: written as a list, or as one expression.
type arguments struct {
	items []node
	whole *expression
}

// event is the list of an event: its name, then the arguments.
func (t *arguments) event(name string, a *activation) (packet.Args, error) {
	if t.isClientsList() {
		return packet.NewEvent(name, a.args), nil
	}
	var b packet.Builder
	b.Literal("[")
	b.String(name)
	if err := t.append(&b, a, ","); err != nil {
		return packet.Args{}, err
	}
	b.Literal("]")
	return b.Args()
}

// ack is the list of an acknowledgement.
func (t *arguments) ack(a *activation) (packet.Args, error) {
	if t.isClientsList() && len(a.args.JSON) > 0 {
		return a.args, nil
	}
	var b packet.Builder
	b.Literal("[")
	if err := t.append(&b, a, ""); err != nil {
		return packet.Args{}, err
	}
	b.Literal("]")
	return b.Args()
}

// isClientsList reports whether the arguments are ${args} as a whole.
func (t *arguments) isClientsList() bool {
	return t.whole != nil && t.whole.path != nil && t.whole.path.isArgs()
}

// append appends the arguments, before before the first of them.
func (t *arguments) append(b *packet.Builder, a *activation, before string) error {
	if t.whole != nil {
		return t.whole.appendArguments(b, a, before)
	}
	for i, item := range t.items {
		if i > 0 {
			before = ","
		}
		b.Literal(before)
		if err := item.append(b, a); err != nil {
			return err
		}
	}
	return nil
}

// appendArguments appends the elements of a value that is a list, else the value.
func (e *expression) appendArguments(b *packet.Builder, a *activation, before string) error {
	if e.path != nil {
		v, err := e.path.find(a)
		if err != nil {
			return err
		}
		list := packet.Args{JSON: v.text, Attachments: v.attachments}
		if v.text[0] != '[' {
			b.Literal(before)
			b.Raw(v.text, v.attachments)
		} else if _, ok := list.At(0); ok {
			b.Literal(before)
			b.Elements(list)
		}
		return nil
	}
	v, err := e.eval(a)
	if err != nil {
		return err
	}
	if l, ok := v.(traits.Lister); ok {
		if l.Size() == types.IntZero {
			return nil
		}
		b.Literal(before)
		return appendElements(b, l)
	}
	b.Literal(before)
	return appendJSON(b, v)
}

// node is one value of a list of arguments as it was written: JSON with templates in it.
type node struct {
	literal string // JSON text, where nothing below is set
	text    *template
	list    []node
	members []memberNode
	kind    config.Kind
}

type memberNode struct {
	name string // quoted
	node node
}

func (n *node) append(b *packet.Builder, a *activation) error {
	switch {
	case n.text != nil:
		return n.text.append(b, a)
	case n.kind == config.List:
		b.Literal("[")
		for i := range n.list {
			if i > 0 {
				b.Literal(",")
			}
			if err := n.list[i].append(b, a); err != nil {
				return err
			}
		}
		b.Literal("]")
	case n.kind == config.Map:
		b.Literal("{")
		for i := range n.members {
			if i > 0 {
				b.Literal(",")
			}
			b.Literal(n.members[i].name)
			b.Literal(":")
			if err := n.members[i].node.append(b, a); err != nil {
				return err
			}
		}
		b.Literal("}")
	default:
		b.Literal(n.literal)
	}
	return nil
}

// append appends the template's value as JSON: of a whole one the expression's value, else a string.
func (t *template) append(b *packet.Builder, a *activation) error {
	whole := t.whole()
	switch {
	case whole == nil:
		text, err := t.text(a)
		if err != nil {
			return err
		}
		b.String(text)
		return nil
	case whole.path != nil:
		v, err := whole.path.find(a)
		if err != nil {
			return err
		}
		b.Raw(v.text, v.attachments)
		return nil
	}
	v, err := whole.eval(a)
	if err != nil {
		return err
	}
	return appendJSON(b, v)
}

// compileNode compiles one value. Members keep the order they are written in.
func compileNode(env *cel.Env, v config.Value) (node, error) {
	switch v.Kind {
	case config.Bool, config.Int, config.Float:
		return node{literal: v.Text}, nil
	case config.String:
		t, err := compileTemplate(env, v.Text)
		if err != nil {
			return node{}, err
		}
		if text, ok := t.constant(); ok {
			return node{literal: string(packet.AppendString(nil, text))}, nil
		}
		return node{text: t}, nil
	case config.List:
		n := node{kind: config.List}
		for _, element := range v.List {
			child, err := compileNode(env, element)
			if err != nil {
				return node{}, err
			}
			n.list = append(n.list, child)
		}
		return n, nil
	case config.Map:
		n := node{kind: config.Map}
		for _, m := range v.Map {
			child, err := compileNode(env, m.Value)
			if err != nil {
				return node{}, err
			}
			n.members = append(n.members, memberNode{string(packet.AppendString(nil, m.Key)), child})
		}
		return n, nil
	}
	return node{literal: "null"}, nil
}
