// Chat on uWebSockets: everyone hears everyone else. `chat ADDR`, which prints the address it got; built as echo.cpp.

#include <cstdlib>
#include <iostream>
#include <string>

#include "App.h"

struct PerSocketData {};

int main(int argc, char **argv) {
    std::string address = argc > 1 ? argv[1] : "127.0.0.1:0";
    std::string host = address.substr(0, address.find(':'));
    int port = std::atoi(address.c_str() + host.size() + 1);
    uWS::App()
        .ws<PerSocketData>("/*",
            {.compression = uWS::DISABLED,
             .maxPayloadLength = 1024 * 1024,
             .idleTimeout = 0,
             .maxBackpressure = 64 * 1024 * 1024,
             .open = [](auto *ws) { ws->subscribe("everyone"); },
             .message = [](auto *ws, std::string_view message, uWS::OpCode opCode) {
                 ws->publish("everyone", message, opCode); // not to itself
             }})
        .listen(host, port,
            [&](auto *socket) {
                if (!socket) {
                    std::exit(1);
                }
                port = us_socket_local_port(0, (us_socket_t *) socket);
                std::cout << "listening on " << host << ":" << port << std::endl;
            })
        .run();
}
