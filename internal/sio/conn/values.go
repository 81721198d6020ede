package conn

import (
	"reflect"
	"sync"
)

// Values holds at most one value of each type. The zero Values is empty. It is safe for concurrent use.
type Values struct {
	mu     sync.Mutex
	byType map[reflect.Type]any
}

// Value returns the value of type T, and whether there is one.
func Value[T any](v *Values) (T, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	value, ok := v.byType[reflect.TypeFor[T]()].(T)
	return value, ok
}

// SetValue keeps a value of type T, instead of the one before.
func SetValue[T any](v *Values, value T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.putLocked(reflect.TypeFor[T](), value)
}

// Shared returns the *T of v, a new one on first use.
func Shared[T any](v *Values) *T {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := reflect.TypeFor[*T]()
	if value, ok := v.byType[key].(*T); ok {
		return value
	}
	value := new(T)
	v.putLocked(key, value)
	return value
}

func (v *Values) putLocked(key reflect.Type, value any) {
	if v.byType == nil {
		v.byType = make(map[reflect.Type]any)
	}
	v.byType[key] = value
}
