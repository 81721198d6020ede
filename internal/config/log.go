package config

// What Log.Format may say.
const (
	LogJSON    = "json"
	LogConsole = "console"
)

// Log is what the process writes about itself.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `key:"level,live"`
	// Format is json, or console for people.
	Format string `key:"format"`
}
