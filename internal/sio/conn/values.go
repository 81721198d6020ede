package conn

import (
	"reflect"
	"sync"
)

// Values holds at most one value of each type. The zero Values is empty. It is safe for concurrent use.
type Values struct {
	mu   sync.Mutex
	list []typed // a few at most, and mostly one: a map would take ten times the memory
}

type typed struct {
	kind  reflect.Type
	value any
}

// Value returns the value of type T, and whether there is one.
func Value[T any](v *Values) (value T, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if have := v.findLocked(reflect.TypeFor[T]()); have != nil {
		value, ok = have.value.(T)
	}
	return value, ok
}

// SetValue keeps a value of type T, instead of the one before.
func SetValue[T any](v *Values, value T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	kind := reflect.TypeFor[T]()
	if have := v.findLocked(kind); have != nil {
		have.value = value
		return
	}
	v.list = append(v.list, typed{kind, value})
}

// Shared returns the *T of v, a new one on first use.
func Shared[T any](v *Values) *T {
	v.mu.Lock()
	defer v.mu.Unlock()
	kind := reflect.TypeFor[*T]()
	if have := v.findLocked(kind); have != nil {
		return have.value.(*T)
	}
	value := new(T)
	v.list = append(v.list, typed{kind, value})
	return value
}

func (v *Values) findLocked(kind reflect.Type) *typed {
	for i := range v.list {
		if v.list[i].kind == kind {
			return &v.list[i]
		}
	}
	return nil
}
