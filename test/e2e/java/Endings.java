import io.socket.client.IO;
import io.socket.client.Socket;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** The Java client over every transport, for the table of endings: see js/endings.mjs. */
public class Endings {
    public static void main(String[] args) throws Exception {
        Map<String, String[]> transports = Map.of(
            "polling", new String[] {"polling"},
            "websocket", new String[] {"websocket"},
            "upgrade", new String[] {"polling", "websocket"});
        for (Map.Entry<String, String[]> transport : transports.entrySet()) {
            String name = "java/" + transport.getKey();
            IO.Options options = IO.Options.builder()
                .setForceNew(true)
                .setTransports(transport.getValue())
                .setReconnectionDelay(100)
                .setReconnectionDelayMax(500)
                .build();
            Socket socket = IO.socket(URI.create(args[0]), options);
            Socket extra = socket.io().socket("/extra", options);
            AtomicInteger times = new AtomicInteger();
            extra.on(Socket.EVENT_CONNECT, ignored ->
                extra.emit("echo", new Object[] {times.incrementAndGet()}, n -> System.out.println(name + " up " + n[0])));
            socket.on(Socket.EVENT_DISCONNECT, reason -> System.out.println(name + " down " + reason[0]));
            socket.connect();
            extra.connect();
        }
    }
}
