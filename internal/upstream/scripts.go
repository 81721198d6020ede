package upstream

import (
	_ "embed" // the scripts

	goredis "github.com/redis/go-redis/v9"
)

//go:embed append.lua
var appendText string

//go:embed reap.lua
var reapText string

//go:embed beat.lua
var beatText string

//go:embed declare.lua
var declareText string

//go:embed trim.lua
var trimText string

//go:embed routes.lua
var routesText string

var (
	appendScript  = goredis.NewScript(appendText)
	reapScript    = goredis.NewScript(reapText)
	beatScript    = goredis.NewScript(beatText)
	declareScript = goredis.NewScript(declareText)
	trimScript    = goredis.NewScript(trimText)
	routesScript  = goredis.NewScript(routesText)
)
