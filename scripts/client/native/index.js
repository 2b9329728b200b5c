/* index.js -- a native page (WeChat, Douyin, QQ): who is here, and his phone. */
"use strict";

var lk = require("../latchkey.js").create({
  base: "https://login.example.com",
  app: "shop"
});

Page({
  data: { ready: false, phone: "", message: "" },

  // Before the phone button shows: its data is then sealed with a key that
  // the server has.
  onLoad: function () {
    var page = this;
    return lk.launch().then(function (session) {
      page.setData({
        ready: true,
        phone: session.phone ? session.phone.purePhoneNumber : ""
      });
    }, function (e) {
      page.setData({ message: e.message });
    });
  },

  // bindgetphonenumber.  No wx.login here, nor before in this function.
  onPhone: function (event) {
    var page = this;
    return lk.phone(event).then(function (phone) {
      page.setData({ phone: phone.purePhoneNumber, message: "" });
    }, function (e) {
      // e.again: the button stays, and the message asks for one more tap
      if (e.reason !== "cancelled") page.setData({ message: e.message });
    });
  },

  onLeave: function () {
    var page = this;
    return lk.logout().then(function () {
      page.setData({ ready: false, phone: "", message: "" });
    });
  }
});
