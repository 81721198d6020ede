package celjson

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// equal compares two values as CEL does, and pays for each pair of values in them that it looks at.
func equal(b *Budget, x, y ref.Val) ref.Val {
	b.Spend(1)
	switch x := x.(type) {
	case traits.Lister:
		y, ok := y.(traits.Lister)
		return types.Bool(ok && equalLists(b, x, y))
	case traits.Mapper:
		y, ok := y.(traits.Mapper)
		return types.Bool(ok && equalMaps(b, x, y))
	case types.String:
		if y, ok := y.(types.String); ok {
			b.Spend(cost(min(len(x), len(y)), 16*scanned)) // memory is compared fast
		}
	}
	return types.Equal(x, y)
}

func equalLists(b *Budget, x, y traits.Lister) bool {
	size, ok := x.Size().(types.Int)
	if !ok || x.Size() != y.Size() {
		return false
	}
	for i := range size {
		if equal(b, x.Get(i), y.Get(i)) != types.True {
			return false
		}
	}
	return true
}

func equalMaps(b *Budget, x, y traits.Mapper) bool {
	if x.Size() != y.Size() {
		return false
	}
	for it := x.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		other, ok := y.Find(key)
		if !ok {
			return false
		}
		own, _ := x.Find(key)
		if equal(b, own, other) != types.True {
			return false
		}
	}
	return true
}

// contains searches a list.
func contains(b *Budget, l traits.Lister, value ref.Val) ref.Val {
	size, _ := l.Size().(types.Int)
	for i := range size {
		if equal(b, l.Get(i), value) == types.True {
			return types.True
		}
	}
	return types.False
}

// isContainer reports whether comparing v may take more than one step.
func isContainer(v ref.Val) bool {
	switch v.(type) {
	case traits.Lister, traits.Mapper:
		return true
	}
	return false
}
